"""The relative error: the error of a row against the usual one of clean rows with as much in them.

    energy = mean over features of x^2, in scaled units
    usual = exp(level + slope * log(energy + floor))
    relative = error / usual                            about 1 for a clean row, whatever the data

A digit with much ink is rebuilt worse than one with little, so that a small error of a row with
little in it says as much as a large one of a full row. Slope and level are the least squares line
through clean validation rows, error against energy, both as logarithms.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aemodel.scores.novelty import LEAST

ENERGY_FLOOR = 0.05  # of the median energy


def energies(scaled: Tensor) -> Tensor:
    """Mean square (n,) float64 of scaled rows (n, d)."""
    return scaled.double().square().mean(dim=1)


def usual_error(scaled: Tensor, errors: Tensor) -> NDArray[np.float64]:
    """Floor, slope (0 to 1) and level (3,) of the usual error, from clean scaled rows (n, d) without gaps and their errors (n,)."""
    energy, found = energies(scaled), errors.clamp_min(LEAST).log()
    floor = max(ENERGY_FLOOR * float(energy.median()), LEAST)
    known = energy.isfinite() & found.isfinite()  # a row too far out for float32 tells nothing
    across, up = (energy[known] + floor).log(), found[known]
    spread = float(across.var(correction=0)) if len(across) else 0.0
    slope = (
        float(((across - across.mean()) * (up - up.mean())).mean() / spread) if spread > 0 else 0.0
    )
    slope = min(max(slope, 0.0), 1.0)
    return np.array([floor, slope, float(up.mean() - slope * across.mean()) if len(up) else 0.0])


def relative_errors(scaled: Tensor, errors: Tensor, usual: NDArray[np.float64]) -> Tensor:
    """Relative errors (n,) float64 of scaled rows (n, d) without gaps with their errors (n,).

    Infinite where the error is no number.
    """
    floor, slope, level = usual.tolist()
    relative = errors / (level + slope * (energies(scaled) + floor).log()).exp()
    return torch.where(errors.isfinite(), relative, torch.inf)
