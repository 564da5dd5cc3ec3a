"""Simple ways to score the rows of a series by what its clean beginning looks like."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from series_data import Rows

NEIGHBORS, KEPT = 3, 0.95
BLOCK = 2_048  # windows compared at once
WINDOWS = (16, 32, 64, 128)

Scores = NDArray[np.float64]
ByRow = Callable[[Rows, int], Scores]  # rows (n, d), of which the first are clean, to scores (n,)


def neighbors(clean: Rows, rows: Rows) -> Scores:
    """Return the mean distance (n,) to the nearest clean rows (m, d)."""
    squares, found = (clean**2).sum(axis=1), []
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        distances = (block**2).sum(axis=1)[:, None] + squares - 2 * block @ clean.T
        nearest = np.partition(distances, NEIGHBORS - 1, axis=1)[:, :NEIGHBORS]
        found.append(np.sqrt(np.maximum(nearest, 0)).mean(axis=1))
    return np.concatenate(found)


def residual(clean: Rows, rows: Rows) -> Scores:
    """Return the squared residual (n,) of principal components with KEPT of the variance."""
    center = clean.mean(axis=0)
    _, sizes, axes = np.linalg.svd(clean - center, full_matrices=False)
    shares = np.cumsum(sizes**2) / (sizes**2).sum()
    kept = axes[: int(np.searchsorted(shares, KEPT)) + 1]
    centered = rows - center
    return np.asarray((centered**2).sum(axis=1) - ((centered @ kept.T) ** 2).sum(axis=1))


def peers() -> dict[str, ByRow]:
    """Peers by name."""
    found: dict[str, ByRow] = {"rows: 3 nearest": _by_rows}
    for name, score in (("3 nearest", neighbors), ("PCA 95 %", residual)):
        for window in WINDOWS:
            found[f"windows of {window}: {name}"] = _by_windows(score, window)
    return found


def _standardized(rows: Rows, clean: int) -> Rows:
    spread = rows[:clean].std(axis=0)
    return np.asarray((rows - rows[:clean].mean(axis=0)) / np.where(spread > 1e-12, spread, 1))


def _by_rows(rows: Rows, clean: int) -> Scores:
    scaled = _standardized(rows, clean)
    return neighbors(scaled[:clean], scaled)


def _by_windows(score: Callable[[Rows, Rows], Scores], window: int) -> ByRow:
    def by_row(rows: Rows, clean: int) -> Scores:
        scaled = _standardized(rows, clean)
        views = sliding_window_view(scaled, window, axis=0).reshape(len(rows) - window + 1, -1)
        return _mean_of_covering(score(views[: clean - window + 1], views), window)

    return by_row


def _mean_of_covering(scores: Scores, window: int) -> Scores:
    """Return the mean (n,) of the windows that cover each row; windows (n - window + 1,)."""
    sums = np.concatenate([[0.0], np.cumsum(scores)])
    row = np.arange(len(scores) + window - 1)
    first = np.maximum(0, row - window + 1)
    last = np.minimum(len(scores), row + 1)
    return np.asarray((sums[last] - sums[first]) / (last - first))
