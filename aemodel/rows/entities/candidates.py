"""Categories that may name entities: numbers differ more between their levels than within them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FEWEST_LEVELS, MOST_LEVELS = 5, 1_000
FEWEST_ROWS = 5  # of a level, on average
LEAST_BETWEEN = 0.5  # mean over numbers of the share of variance between levels


def may_name_entities(keys: NDArray[np.generic], values: NDArray[np.float64]) -> bool:
    """Return whether a category with keys (n,) may name entities, by numbers (n, d), d >= 1."""
    levels, places = np.unique(keys, return_inverse=True)
    if not FEWEST_LEVELS <= len(levels) <= min(MOST_LEVELS, len(keys) / FEWEST_ROWS):
        return False
    shares = [_share_between(column, places) for column in values.T]
    return float(np.mean(shares)) > LEAST_BETWEEN


def stand_together(keys: NDArray[np.generic]) -> bool:
    """Return whether the rows of each entity, with keys (n,) in source order, are consecutive."""
    borders = np.flatnonzero(keys[1:] != keys[:-1])
    return len(borders) + 1 == len(np.unique(keys))


def _share_between(values: NDArray[np.float64], places: NDArray[np.intp]) -> float:
    """Return the share of variance (n,) between groups, less what chance gives (Kelley 1935)."""
    known = np.isfinite(values)
    values, places = values[known], places[known]
    count = np.bincount(places)
    groups = int((count > 0).sum())
    if len(values) <= groups:
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(np.sum((values - values.mean()) ** 2))
        means = np.bincount(places, values) / np.maximum(count, 1)
        within = float(np.sum((values - means[places]) ** 2))
    if not 0 < total < np.inf:
        return 0.0
    return 1 - within / total * (len(values) - 1) / (len(values) - groups)
