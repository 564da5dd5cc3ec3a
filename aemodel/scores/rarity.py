"""Rarity: how unusual a value is among clean rows, on one scale for whatever is measured.

    rarity(x) = -log of the share of clean rows that are at least as high, up to their quantile c
    beyond c, as if the tail were exponential: -log (share above c) + (x - c) / mean excess

c: the quantile 1 - TAIL, or a lower one that FEWEST rows exceed; the median where rows are few.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TAIL = 0.1
FEWEST = 20
LEAST_EXCESS = 1e-3


class Rarity:
    """Computes the rarity of values among those of clean rows (n,), ascending, n >= 1."""

    def __init__(self, values: NDArray[np.float64]) -> None:
        self.rows = len(values)
        share = max(TAIL, FEWEST / self.rows) if self.rows >= 2 * FEWEST else 0.5
        self._cut = float(np.quantile(values, 1 - share))
        above = values[values >= self._cut]
        self._excess = max(float((above - self._cut).mean()), LEAST_EXCESS)
        self._at_cut = -math.log(share)
        self._values = torch.from_numpy(values.copy())

    @property
    def most(self) -> float:
        """The rarity of a value that no clean row reaches, as far as their number tells."""
        return math.log(self.rows + 1)

    def __call__(self, values: Tensor) -> Tensor:
        """Compute rarities (n,) float64 of values (n,) float64, at least 0."""
        below = torch.searchsorted(self._values.to(values.device), values)
        within = -torch.log((1 + self.rows - below).double() / (self.rows + 1))
        beyond = self._at_cut + (values - self._cut) / self._excess
        return torch.where(values <= self._cut, within.clamp_max(self._at_cut), beyond)
