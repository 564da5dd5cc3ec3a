"""How high clean stretches score, by scorers that have not seen them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.series.windows.points import Piece
from aemodel.series.windows.pyramid import Values
from aemodel.series.windows.scorer import WindowScorer

STRETCHES = 40  # wanted, as far as each then has LEAST to MOST windows
LEAST, MOST = 2, 8
SHORTEST = 1.5  # windows of a piece that counts: half of what `choose_window` asks for


@dataclass(frozen=True)
class Held:
    """Clean rows (n, d), scaled, and a scorer that has not seen them."""

    scorer: WindowScorer
    rows: Values


@dataclass(frozen=True)
class Calibration:
    """Scores of clean stretches by scorers that have not seen them.

    highest (n,): the highest point score of each stretch, ascending. rows: of all stretches.
    usual: a typical score of a clean point, NaN without stretches.
    """

    highest: NDArray[np.float64]
    rows: int
    usual: float

    def p_values(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share of clean stretches that go as high as scores (n,), NaN for NaN.

        (1 + #{stretches >= s}) / (stretches + 1)
        """
        count = len(self.highest)
        above = count - np.searchsorted(self.highest, scores, side="left")
        return np.where(np.isnan(scores), np.nan, (1.0 + above) / (count + 1))

    @property
    def stretch(self) -> float:
        """Rows of a stretch, on average."""
        return self.rows / max(len(self.highest), 1)

    @property
    def ordinary(self) -> float:
        """As far out as every other clean stretch goes; infinity without stretches."""
        return float(np.median(self.highest)) if len(self.highest) else np.inf


def calibrate_stretches(pieces: Iterable[Held], *, total: int) -> Calibration:
    """Score clean rows, `total` of them, and cut them into stretches of several windows."""
    highest: list[float] = []
    rows, medians = 0, []
    for piece in pieces:
        window = piece.scorer.window
        if len(piece.rows) < SHORTEST * window:
            continue
        points = piece.scorer.points(Piece(piece.rows))
        stretch = int(np.clip(total // STRETCHES, LEAST * window, MOST * window))
        parts = np.array_split(points, max(1, round(len(points) / stretch)))
        highest += [float(part.max()) for part in parts]
        rows += len(points)
        medians.append(float(np.median(points)))
    usual = float(np.median(medians)) if medians else np.nan
    return Calibration(np.sort(highest), rows, usual)
