"""Novelty of rows with categories or times: distance, surprise, and error.

    novelty = exp(X) / 2
    X = ((A^P + w * B^P) / (1 + w))^(1/P),  w = (categories and times / columns)^(1/4)
    A = soft(rarity of S + ERROR * E),  B = rarity of U
    soft(a) = a up to log(validation rows + 1), from there on larger by the log of what is beyond

S and E are those of `aemodel.scores.novelty`, between the points of `Expansion.points`. U is the
surprise, see `aemodel.scores.surprise`: a distance does not see that a level is rare. A rarity, see
`aemodel.scores.rarity`, is taken among validation rows: where ordinary rows lie far out now and
then, a distance weighs less. A far number is bounded so that it cannot hide rare levels. Only
categories that vary in the clean rows count in w: the fewer there are, the nearer this is to the
novelty of numbers. A clean row scores about 1.

Where clean rows hardly differ, X may exceed what exp can take. Beyond LARGE, novelty grows with X
itself: exp(LARGE) * X / LARGE.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aemodel.network.expansion import EXTRA, Expansion
from aemodel.rows.layout import PERIODS
from aemodel.rows.levels import Levels
from aemodel.scores.novelty import ERROR, Novelty
from aemodel.scores.rarity import Rarity
from aemodel.scores.surprise import Margins, Surprise

LEAST_VARIETY = 0.01  # of a category: nearly all rows have the same level
POWER = 1.5  # P: between the sum of both and the larger of the two
LARGE = 50.0  # exp(50) is 5e21
TINY = 1e-30


@dataclass(frozen=True, kw_only=True)
class MixedReference:
    """What a bundle keeps to compute novelty where columns are of several kinds.

    weights: (width + k,) float32, see `Expansion.points`. margins: see `aemodel.scores.surprise`.
    typical: (2,) float64, medians of S and E. usual: (2, n) float64, S + ERROR * E and U of
    validation rows, each ascending.
    """

    weights: NDArray[np.float32]
    typical: NDArray[np.float64]
    usual: NDArray[np.float64]
    margins: Margins


class MixedNovelty:
    """Computes novelty from the three parts."""

    def __init__(self, reference: MixedReference, novelty: Novelty, surprise: Surprise) -> None:
        self.reference, self.novelty, self.surprise = reference, novelty, surprise
        self.weight = share_not_numbers(surprise) ** 0.25
        self._of_distance, self._of_surprise = map(Rarity, reference.usual)

    def parts(self, scaled: Tensor, points: Tensor, errors: Tensor) -> Tensor:
        """Compute S, U and E: (3, n) float64.

        scaled: (n, d), NaN where a value is missing. points: (n, width), see
        `Autoencoder.to_points`. errors: (n,).
        """
        far, badly = self.novelty.parts(points, errors)
        total = self.surprise.total(scaled.cpu().numpy())
        return torch.stack([far, torch.from_numpy(total).to(far), badly])

    def __call__(self, scaled: Tensor, points: Tensor, errors: Tensor) -> Tensor:
        """Compute the novelty (n,) float64; infinite where a row or its error overflows."""
        return self._combined(*self.parts(scaled, points, errors))

    def of_parts(self, scaled: Tensor, far: Tensor, badly: Tensor) -> Tensor:
        """Compute the novelty (n,) from S and E, (n,) each, all on the host."""
        total = torch.from_numpy(self.surprise.total(scaled.numpy()))
        return self._combined(far, total, badly)

    def _combined(self, far: Tensor, surprise: Tensor, badly: Tensor) -> Tensor:
        powers = self._powers(far, surprise, badly) / (1 + self.weight)
        return to_novelty(powers.sum(dim=0) ** (1 / POWER))

    def _powers(self, far: Tensor, surprise: Tensor, badly: Tensor) -> Tensor:
        """Compute A^P and w * B^P, (2, n)."""
        rare = self._of_surprise(surprise)
        return torch.stack([self._away(far, badly) ** POWER, self.weight * rare**POWER])

    def _away(self, far: Tensor, badly: Tensor) -> Tensor:
        """Compute A from S and E."""
        found = self._of_distance(far + ERROR * badly)
        most = self._of_distance.most
        return torch.where(found > most, most + torch.log1p((found - most).clamp_min(0)), found)

    def excesses(self, scaled: Tensor, points: Tensor, errors: Tensor) -> Tensor:
        """Compute what S, U and E add to A^P + w * B^P beyond what is typical: (3, n) float64."""
        far, surprise, badly = self.parts(scaled, points, errors)
        usual = torch.tensor([[1.0], [self.weight]], dtype=far.dtype).to(far) * math.log(2) ** POWER
        away, rare = (self._powers(far, surprise, badly) - usual).clamp_min(0)
        typical, typical_error = self.reference.typical.tolist()
        farther = (far - typical).clamp_min(0)
        worse = ERROR * (badly - typical_error).clamp_min(0)
        share = farther / (farther + worse).clamp_min(TINY)
        return torch.stack([share * away, rare, (1 - share) * away])


def share_not_numbers(surprise: Surprise) -> float:
    """Return the share of columns that are times, or categories that vary in the clean rows."""
    layout = surprise.layout
    names = layout.columns or tuple(map(str, range(layout.n_features)))
    columns = {names[index] for index in layout.features}  # a time is two features of one name
    times = {names[index] for index in layout.of_kind(*PERIODS)}
    return (surprise.n_varied + len(times)) / len(columns)


def to_novelty(rarity: Tensor) -> Tensor:
    """Return exp(rarity) / 2 (n,) as far as float64 can, see the module; NaN becomes infinite."""
    novelty = rarity.clamp_max(LARGE).exp() * (rarity / LARGE).clamp_min(1) / 2
    return torch.where(rarity.isnan(), torch.inf, novelty)


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
    """Measure S, U and E (3, n) of clean rows: `MixedReference.typical` and `usual`."""
    found = parts.cpu().numpy()
    known = found[:, np.isfinite(found).all(axis=0)]
    if not known.shape[1]:
        return np.zeros(2), np.zeros((2, 1))
    distance, surprise, error = known
    typical = np.array([np.median(distance), np.median(error)])
    return typical, np.sort(np.stack([distance + ERROR * error, surprise]), axis=1)
