"""From windows to points: a row's score is the mean of the windows that cover it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.series.windows.pyramid import PARTS, Values


@dataclass(frozen=True)
class Piece:
    """Consecutive rows of one segment, which a window may cover but not cross.

    rows: (n, d) scaled, without NaN. first: number of the first row, counted from where windows
    begin. begins, ends: whether the segment begins, or ends, with the piece.
    """

    rows: Values
    first: int = 0
    begins: bool = True
    ends: bool = True


class Covered:
    """Sums and counts of the scores of the windows that cover each of n rows."""

    def __init__(self, n: int) -> None:
        self.total, self.count = np.zeros(n), np.zeros(n)

    def add(self, scores: NDArray[np.float64], *, start: int, hop: int) -> None:
        """Add windows of PARTS blocks of `hop` rows; the first one begins at row `start`.

        The order of additions to a row does not depend on where a piece begins.
        """
        blocks = len(scores) + PARTS - 1
        total, count = np.zeros(blocks), np.zeros(blocks)
        for part in range(PARTS):
            total[part : part + len(scores)] += scores
            count[part : part + len(scores)] += 1
        stop = start + blocks * hop
        self.total[start:stop] += np.repeat(total, hop)
        self.count[start:stop] += np.repeat(count, hop)

    def add_one(self, score: float, rows: slice) -> None:
        """Add a window that covers these rows."""
        self.total[rows] += score
        self.count[rows] += 1

    def mean(self) -> NDArray[np.float64]:
        """Return the mean score (n,); NaN for rows that no window covers."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.total / np.where(self.count == 0, np.nan, self.count))


def hold_gaps(scaled: Values, most: int) -> Values:
    """Replace NaN in rows (n, d) by the last value, at most `most` rows back, else by 0."""
    missing = np.isnan(scaled)
    if not missing.any():
        return scaled
    index = np.arange(len(scaled))[:, None]
    last = np.maximum.accumulate(np.where(missing, -1, index), axis=0)
    held = np.take_along_axis(scaled, np.maximum(last, 0), axis=0)
    return np.where(missing, np.where((last >= 0) & (index - last <= most), held, 0), scaled)
