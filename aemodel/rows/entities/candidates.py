"""Columns that may name entities: numbers differ more between their levels than within them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FEWEST_LEVELS, MOST_LEVELS = 5, 1_000
FEWEST_ROWS = 5  # of a level, on average
LEAST_BETWEEN = 0.5  # mean over numbers of the share of variance between levels
LEAST_UNORDERED = 0.5  # mean over numbers of von Neumann's ratio of the levels' means


def may_name_entities(keys: NDArray[np.float64], values: NDArray[np.float64]) -> bool:
    """Return whether a category with keys (n,) may name entities, by numbers (n, d), d >= 1."""
    levels, places = np.unique(keys, return_inverse=True)
    if not FEWEST_LEVELS <= len(levels) <= min(MOST_LEVELS, len(keys) / FEWEST_ROWS):
        return False
    shares = [_share_between(column, places) for column in values.T]
    return float(np.mean(shares)) > LEAST_BETWEEN


def may_number_entities(keys: NDArray[np.float64], values: NDArray[np.float64]) -> bool:
    """Return whether whole numbers (n,) may be the numbers of entities, by others (n, d), d >= 1.

    An amount that the others depend on, such as an age, groups them as well; but their means then
    follow its order, and those of entities do not.
    """
    whole = bool(np.isfinite(keys).all() and (keys % 1 == 0).all())
    if not (whole and may_name_entities(keys, values)):
        return False
    _, places = np.unique(keys, return_inverse=True)
    return float(np.mean([_unordered(column, places) for column in values.T])) > LEAST_UNORDERED


def stand_together(keys: NDArray[np.generic]) -> bool:
    """Return whether the rows of each entity, with keys (n,) in source order, are consecutive."""
    borders = np.flatnonzero(keys[1:] != keys[:-1])
    return len(borders) + 1 == len(np.unique(keys))


def _unordered(values: NDArray[np.float64], places: NDArray[np.intp]) -> float:
    """Return von Neumann's ratio of the means of groups of values (n,), halved.

    It is about 1 if they are in no order, and near 0 if neighbors are alike (von Neumann 1941).
    """
    known = np.isfinite(values)
    count = np.bincount(places[known])
    means = np.bincount(places[known], values[known])[count > 0] / count[count > 0]
    spread = means.var()
    return float(np.mean(np.diff(means) ** 2) / (2 * spread)) if spread > 0 else 0.0


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
