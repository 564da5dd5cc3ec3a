"""Fewer points for the same picture: the extremes of a long trace stay."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def extreme_positions(values: NDArray[np.float64], groups: int) -> NDArray[np.intp]:
    """Return ascending positions that show values (n,) in `groups` groups of neighbors.

    Each group keeps its lowest and its highest value, and one NaN where half of it or more is
    NaN. All positions are kept where that is no more than two per group.
    """
    n = len(values)
    if n <= 2 * groups:
        return np.arange(n)
    size = -(-n // groups)
    table = np.full((groups, size), np.nan)
    table.ravel()[:n] = values
    missing = np.isnan(table)
    starts = size * np.arange(groups)
    lowest = starts + np.where(missing, np.inf, table).argmin(axis=1)
    highest = starts + np.where(missing, -np.inf, table).argmax(axis=1)
    gapped = missing.mean(axis=1) >= 0.5
    gaps = starts[gapped] + missing[gapped].argmax(axis=1)
    found = np.unique(np.concatenate([lowest, highest, gaps]))
    return found[found < n]


def envelope(
    low: NDArray[np.float64], high: NDArray[np.float64], groups: int
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Return positions (k,), and the lowest `low` (k,) and highest `high` (k,) around each."""
    n = len(low)
    if n <= groups:
        return np.arange(n), low, high
    starts = np.unique(np.linspace(0, n, groups, endpoint=False).astype(np.intp))
    middles = (starts + np.append(starts[1:], n) - 1) // 2
    middles[0], middles[-1] = 0, n - 1  # the band reaches both ends
    return middles, np.fmin.reduceat(low, starts), np.fmax.reduceat(high, starts)
