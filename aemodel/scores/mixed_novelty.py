"""Novelty of rows with categories or times: distance, surprise, and error.

    novelty = exp(X),  X = (D + w * V) / (1 + w),  w = (categories / columns)^(1/2)
    D = (S - typical + ERROR * (E - typical)) / spread,  V = (U - typical) / spread

S and E are those of `aemodel.scores.novelty`, between the points of `Expansion.points`. U is the
log of the surprise, see `aemodel.scores.surprise`: a distance does not see that a level is rare.
Typical values and spreads are medians and standard deviations over validation rows. Only
categories that vary in the clean rows count in w: the fewer there are, the nearer this is to the
novelty of numbers.

Where clean rows hardly differ, spreads are small and X may exceed what exp can take. Beyond LARGE,
novelty grows with X itself: exp(LARGE) * X / LARGE.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aemodel.network.expansion import EXTRA, Expansion
from aemodel.rows.layout import ENTITY
from aemodel.rows.levels import Levels
from aemodel.scores.novelty import ERROR, Novelty
from aemodel.scores.surprise import Margins, Surprise

LEAST_VARIETY = 0.01  # of a category: nearly all rows have the same level
LEAST_SPREAD = 1e-3
LARGE = 50.0  # exp(50) is 5e21


@dataclass(frozen=True, kw_only=True)
class MixedReference:
    """What a bundle keeps to compute novelty where columns are of several kinds.

    weights: (width + k,) float32, see `Expansion.points`. margins: see `aemodel.scores.surprise`.
    typical: (3,) float64, of S, U and E. spread: (2,) float64, of D and U.
    """

    weights: NDArray[np.float32]
    typical: NDArray[np.float64]
    spread: NDArray[np.float64]
    margins: Margins


class MixedNovelty:
    """Computes novelty from the three parts."""

    def __init__(self, reference: MixedReference, novelty: Novelty, surprise: Surprise) -> None:
        self.reference, self.novelty, self.surprise = reference, novelty, surprise
        layout = surprise.layout
        columns = len(layout.kinds) - len(layout.of_kind(ENTITY))
        self.weight = math.sqrt(surprise.n_varied / columns)

    def parts(self, scaled: Tensor, points: Tensor, errors: Tensor, *, skip: int = 0) -> Tensor:
        """Compute S, U and E: (3, n) float64.

        scaled: (n, d), NaN where a value is missing. points: (n, width), see
        `Autoencoder.to_points`. errors: (n,). skip: see `Novelty.parts`.
        """
        far, badly = self.novelty.parts(points, errors, skip=skip)
        total = self.surprise.total(scaled.cpu().numpy())
        surprise = torch.from_numpy(total).to(far).log()
        return torch.stack([far, surprise, badly])

    def __call__(self, scaled: Tensor, points: Tensor, errors: Tensor) -> Tensor:
        """Compute the novelty (n,) float64; infinite where a row or its error overflows."""
        excess = self.excesses(scaled, points, errors).sum(dim=0) / (1 + self.weight)
        novelty = excess.clamp_max(LARGE).exp() * (excess / LARGE).clamp_min(1)
        return torch.where(excess.isnan(), torch.inf, novelty)

    def excesses(self, scaled: Tensor, points: Tensor, errors: Tensor) -> Tensor:
        """Compute the parts of D + w * V that come from S, U and E: (3, n) float64."""
        parts = self.parts(scaled, points, errors)
        typical = torch.from_numpy(self.reference.typical.copy()).to(parts)
        of_distance, of_surprise = self.reference.spread.tolist()
        scales = (1 / of_distance, self.weight / of_surprise, ERROR / of_distance)
        return (parts - typical[:, None]) * parts.new_tensor(scales)[:, None]


def distance_weights(
    expansion: Expansion, levels: Levels, deviations: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return the weights of `Expansion.points`, (width + k,).

    deviations: (a,), of the scaled numbers. Numbers count in standard deviations. Two levels of a
    category are 1 / variety^(1/4) apart; its variety is the chance that two clean rows differ.
    Whether a level was ever seen counts as a category with LEAST_VARIETY.
    """
    circles = expansion.first_level - expansion.n_numbers
    parts = [1 / np.where(deviations > 0, deviations, 1.0), np.ones(circles)]
    for category, size in enumerate(expansion.sizes):
        assert size >= EXTRA
        parts.append(np.full(size, _coordinate(_variety(levels, category))))
    parts.append(np.full(len(expansion.sizes), _coordinate(LEAST_VARIETY)))
    return np.concatenate(parts).astype(np.float32)


def _coordinate(variety: float) -> float:
    """Return where a level lies on its axis, so that two are 1 / variety^(1/4) apart."""
    return float(np.sqrt(0.5 / np.sqrt(max(variety, LEAST_VARIETY))))


def _variety(levels: Levels, category: int) -> float:
    """Return the chance that two fit rows have different levels."""
    counts = np.append(levels.counts[levels.of(category)], levels.gaps[category]).astype(float)
    shares = counts / max(1.0, counts.sum())
    return 1 - float((shares**2).sum())


def measure_parts(parts: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure S, U and E (3, n) of clean rows: typical (3,) and spread (2,), see the module."""
    found = parts.cpu().numpy()
    known = found[:, np.isfinite(found).all(axis=0)]
    if not known.shape[1]:
        return np.zeros(3), np.ones(2)
    distance, surprise, error = known
    spread = np.array([np.std(distance + ERROR * error), np.std(surprise)])
    return np.median(known, axis=1), np.where(spread > LEAST_SPREAD, spread, 1.0)
