"""The bins of a histogram of scores that a plot shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def rows_by_bin(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the counts (b,) per bin, with rows beyond the edges added to the end bins."""
    inside = counts[1:-1].copy()
    inside[0] += counts[0]
    inside[-1] += counts[-1]
    return inside


def shown_bins(
    counts: NDArray[np.int64], threshold: float | None, edges: NDArray[np.float64]
) -> tuple[int, int]:
    """Return the range of bins to show: those with rows, and the one with the threshold."""
    filled = np.flatnonzero(rows_by_bin(counts))
    last_bin = len(edges) - 2
    first, last = (int(filled[0]), int(filled[-1])) if len(filled) else (0, last_bin)
    if threshold is not None and np.isfinite(threshold):
        place = int(np.clip(np.searchsorted(edges, threshold) - 1, 0, last_bin))
        first, last = min(first, place), max(last, place)
    return max(0, first - 1), min(last_bin + 1, last + 2)
