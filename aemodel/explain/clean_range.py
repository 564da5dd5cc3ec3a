"""The range in which the middle 98 % of clean values of a feature lie."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from aemodel.decisions.feature_shift import cached_blocks
from aemodel.model import Autoencoder

USUAL_OUTSIDE = 0.02  # of clean values lie outside the range, by its definition


def clean_range(model: Autoencoder) -> NDArray[np.float64]:
    """Return the 1 % and 99 % quantiles (2, d) of clean rows in data units; NaN if unknown.

    For columns that are numbers, and not relative to an entity.
    """
    found = model.measured.feature_range
    if not found.size:
        return np.full((2, model.layout.n_features), np.nan)
    return model.scaler.invert(found.copy())


def count_outside(model: Autoencoder, scaled: NDArray[np.float32]) -> NDArray[np.float64]:
    """Count the rows of scaled rows (n, d) outside the clean range of each feature: (d,).

    Of categories, those with a level that no fit row has. 0 for rows without names of columns, such
    as images, and for ranges that are not known.
    """
    found = np.zeros(scaled.shape[1])
    if not model.layout.columns:
        return found
    if model.measured.feature_range.size:
        found += _count_beyond(scaled, model.measured.feature_range.astype(np.float32))
    levels = model.scaler.levels
    if levels is not None:
        found[levels.columns] = (scaled[:, levels.columns] > levels.sizes).sum(axis=0)
    return found


def _count_beyond(scaled: NDArray[np.float32], limits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Count the values of each column (n, d) below or above its limits (2, d); a gap is neither.

    Values that clamping changes are counted in a third of the time of two comparisons.
    """
    unlimited = np.array([[-np.inf], [np.inf]], np.float32)
    low, high = map(torch.from_numpy, np.where(np.isnan(limits), unlimited, limits))
    found = np.zeros(scaled.shape[1])
    for rows in cached_blocks(scaled):
        changed = rows.clamp(low, high).ne_(rows)
        if rows.sum().isnan():
            changed.masked_fill_(rows.isnan(), 0)
        found += changed.sum(dim=0).numpy()
    return found


def usual_outside(model: Autoencoder) -> NDArray[np.float64]:
    """Return the share of clean rows that `count_outside` counts, (d,)."""
    known = bool(model.measured.feature_range.size)
    usual = np.full(model.layout.n_features, USUAL_OUTSIDE if known else 0.0)
    levels = model.scaler.levels
    if levels is not None:
        usual[levels.columns] = 0.0
    return usual
