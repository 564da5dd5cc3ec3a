"""Relative error: the error of a row relative to the usual error of clean rows of its energy.

    energy = mean over features of x^2, in scaled units
    usual = exp(level + slope * log(energy + floor))
    relative = error / usual

A clean row scores about 1, whatever the data. An image with much ink has a larger error than one
with little, so a small error of a faint image counts as much as a large error of a bold one. Slope
and level are the least-squares line through the log errors of clean validation rows against their
log energies.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aemodel.scores.novelty import LEAST

ENERGY_FLOOR = 0.05  # of the median energy


def energies(scaled: Tensor) -> Tensor:
    """Compute the mean square (n,) float64 of scaled rows (n, d)."""
    return scaled.double().square().mean(dim=1)


def usual_error(scaled: Tensor, errors: Tensor) -> NDArray[np.float64]:
    """Fit the usual error of clean scaled rows (n, d) without NaN: floor, slope and level (3,).

    errors: (n,), of the same rows. The slope is clipped to [0, 1].
    """
    energy, found = energies(scaled), errors.clamp_min(LEAST).log()
    floor = max(ENERGY_FLOOR * float(energy.median()), LEAST)
    known = energy.isfinite() & found.isfinite()  # skip rows too far out for float32
    across, up = (energy[known] + floor).log(), found[known]
    if not len(up):
        return np.array([floor, 0.0, 0.0])
    slope = min(max(_least_squares_slope(across, up), 0.0), 1.0)
    return np.array([floor, slope, float(up.mean() - slope * across.mean())])


def _least_squares_slope(x: Tensor, y: Tensor) -> float:
    """Slope of the line through x (n,) and y (n,); 0 if all x are equal."""
    spread = float(x.var(correction=0))
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    return float(covariance / spread) if spread > 0 else 0.0


def relative_errors(scaled: Tensor, errors: Tensor, usual: NDArray[np.float64]) -> Tensor:
    """Compute relative errors (n,) float64 of scaled rows (n, d) without NaN.

    errors: (n,), of the same rows. usual: (3,), see `usual_error`. Infinite where the error is
    infinite or NaN.
    """
    floor, slope, level = usual.tolist()
    relative = errors / (level + slope * (energies(scaled) + floor).log()).exp()
    return torch.where(errors.isfinite(), relative, torch.inf)
