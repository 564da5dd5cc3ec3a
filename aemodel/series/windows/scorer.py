"""Scores of windows and of points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.series.windows.features import Whitening
from aemodel.series.windows.parts import N_PARTS, CleanWindows
from aemodel.series.windows.points import Covered, Piece
from aemodel.series.windows.pyramid import Values

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class WindowScorer:
    """Scores windows of scaled rows.

    stride: rows between windows, a divisor of the hop. scale (N_PARTS + 1,): the parts of the score
    are divided by its first values. The score is the mean of all parts but the last, plus the
    last, the activity, as far as it is beyond 1, times the last value of scale.
    """

    whitening: Whitening
    reference: CleanWindows
    scale: Vector
    stride: int

    @property
    def window(self) -> int:
        """Rows of a window."""
        return self.whitening.pyramid.window

    @property
    def hop(self) -> int:
        """Rows of a block."""
        return self.whitening.pyramid.hop

    @property
    def context(self) -> int:
        """Rows on either side of some rows that affect their scores, gaps included."""
        return 2 * self.window + self.hop

    def scores(self, rows: Values) -> Vector:
        """Return the scores (k,) of windows over rows (n, d), one every hop from the first."""
        relative = self.parts(rows) / self.scale[:N_PARTS]
        beyond = np.maximum(relative[:, -1] - 1, 0)
        return np.asarray((relative[:, :-1].sum(axis=1) + self.scale[-1] * beyond) / (N_PARTS - 1))

    def parts(self, rows: Values) -> Vector:
        """Return the parts (k, N_PARTS) of the scores of windows over rows (n, d)."""
        if len(rows) < self.window:
            return np.empty((0, N_PARTS))
        return self.reference.parts(self.whitening.windows(rows))

    def points(self, piece: Piece) -> Vector:
        """Return the scores (n,) of the rows of a piece; NaN for rows that no window covers.

        Where a piece does not begin or end with its segment, the scores of its first and last
        `window` rows are those of fewer windows.
        """
        covered = Covered(len(piece.rows))
        for phase in range(0, self.hop, self.stride):
            start = (phase - piece.first) % self.hop
            scores = self.scores(piece.rows[start:])
            if len(scores):
                covered.add(scores, start=start, hop=self.hop)
        n, window = len(piece.rows), self.window
        if n >= window:  # the borders of a segment have windows of their own
            if piece.begins and piece.first % self.stride:
                covered.add_one(float(self.scores(piece.rows[:window])[0]), slice(0, window))
            if piece.ends and (piece.first + n - window) % self.stride:
                covered.add_one(float(self.scores(piece.rows[-window:])[0]), slice(n - window, n))
        return covered.mean()
