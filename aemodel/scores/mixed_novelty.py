"""Novelty of rows with categories or times: distance, surprise, and error.

    novelty = exp(mean over parts of (part - typical) / spread)

    S   distance to the nearest clean rows, as in `aemodel.scores.novelty`, where levels are
        points whose distance grows as the levels of a category are more alike in all rows
    U   log of the surprise, see `aemodel.scores.surprise`
    E   log(error) / 2

Typical value and spread of each part are median and standard deviation over validation rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aemodel.network.expansion import EXTRA, Expansion
from aemodel.rows.levels import Levels
from aemodel.scores.novelty import LEAST, Novelty
from aemodel.scores.surprise import Margins, Surprise

LEAST_VARIETY = 0.01  # of a category: nearly all rows have the same level
LEAST_SPREAD = 1e-3
WEIGHTS = (1.0, 1.0, 0.5)  # of S, U, and E


@dataclass(frozen=True, kw_only=True)
class MixedReference:
    """What a bundle keeps to compute novelty where columns are of several kinds.

    weights: (width,) float32, factors on expanded rows, see `aemodel.network.expansion`.
    typical, spread: (3,) float64, of S, U and E. margins: see `aemodel.scores.surprise`.
    """

    weights: NDArray[np.float32]
    typical: NDArray[np.float64]
    spread: NDArray[np.float64]
    margins: Margins

    @property
    def is_known(self) -> bool:
        """Whether typical values were measured."""
        return bool(np.isfinite(self.typical).all())


class MixedNovelty:
    """Computes novelty from the three parts."""

    def __init__(self, reference: MixedReference, novelty: Novelty, surprise: Surprise) -> None:
        self.reference, self.novelty, self.surprise = reference, novelty, surprise

    def parts(self, scaled: Tensor, points: Tensor, errors: Tensor, *, skip: int = 0) -> Tensor:
        """Compute S, U and E: (3, n) float64.

        scaled: (n, d), NaN where a value is missing. points: (n, width), see
        `Autoencoder.to_points`. errors: (n,). skip: see `Novelty.parts`.
        """
        far, badly = self.novelty.parts(points, errors, skip=skip)
        total = self.surprise.columns(scaled.cpu().numpy()).sum(axis=1)
        surprise = torch.from_numpy(total).to(far).clamp_min(LEAST).log()
        return torch.stack([far, surprise, badly])

    def __call__(self, scaled: Tensor, points: Tensor, errors: Tensor) -> Tensor:
        """Compute the novelty (n,) float64; infinite where a row or its error overflows."""
        parts = self.parts(scaled, points, errors)
        typical, spread = (
            torch.from_numpy(values.copy()).to(parts)[:, None]
            for values in (self.reference.typical, self.reference.spread)
        )
        weights = parts.new_tensor(WEIGHTS)[:, None]
        excess = ((parts - typical) / spread * weights).sum(dim=0) / weights.sum()
        return torch.where(excess.isnan(), torch.inf, excess.exp())


def distance_weights(
    expansion: Expansion, levels: Levels, deviations: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return what expanded rows are multiplied with before distances are taken, (width,).

    deviations: (a,), of the scaled numbers. Numbers count in standard deviations. Two levels of a
    category are 1 / variety^(1/4) apart; its variety is the chance that two clean rows differ.
    """
    circles = expansion.first_level - expansion.n_numbers
    parts = [1 / np.where(deviations > 0, deviations, 1.0), np.ones(circles)]
    for category, size in enumerate(expansion.sizes):
        assert size >= EXTRA
        parts.append(np.full(size, _coordinate(levels, category)))
    return np.concatenate(parts).astype(np.float32)


def _coordinate(levels: Levels, category: int) -> float:
    counts = np.append(levels.counts[levels.of(category)], levels.gaps[category]).astype(float)
    shares = counts / max(1.0, counts.sum())
    variety = max(1 - float((shares**2).sum()), LEAST_VARIETY)
    return float(np.sqrt(0.5 / np.sqrt(variety)))


def measure_parts(parts: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return median and standard deviation of S, U and E (3, n) of clean rows: (3,), (3,)."""
    found = parts.cpu().numpy()
    typical = np.array([np.median(part[np.isfinite(part)]) for part in found])
    spread = np.array([np.std(part[np.isfinite(part)]) for part in found])
    return typical, np.where(spread > LEAST_SPREAD, spread, 1.0)
