"""Shares of the columns in the scores of rows whose columns are of several kinds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from aemodel.model import Autoencoder
from aemodel.network.networks import Rebuilt
from aemodel.scores.row_pairs import Partner, RowPairs
from aemodel.scores.surprise import POWER

ENOUGH = 0.25  # of a column's share, for a pair to be named: counts say more than a p-value
HUGE = 1e100
TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class Shares:
    """Shares in the score of each row: of its columns (n, d), and of their pairs within these."""

    columns: NDArray[np.float64]
    of_pairs: NDArray[np.float64] | None = None
    pairs: RowPairs | None = None

    def partner(self, row: int, column: int) -> Partner | None:
        """What a value goes with worst, if that is much of what is wrong with it."""
        if self.pairs is None or self.of_pairs is None:
            return None
        if self.of_pairs[row, column] <= ENOUGH * self.columns[row, column]:
            return None
        return self.pairs.partner(row, column)


def error_shares(model: Autoencoder, rows: Rebuilt) -> Shares:
    """Shares in the error of each row."""
    return Shares(_normalized((rows.residuals / model.measured.residual_scale) ** 2))


def _normalized(parts: NDArray[np.floating]) -> NDArray[np.float64]:
    known = np.nan_to_num(parts.astype(np.float64), nan=0.0, posinf=HUGE).clip(0, HUGE)
    return np.asarray(known / np.maximum(known.sum(axis=1, keepdims=True), TINY))


def novelty_shares(model: Autoencoder, rows: Rebuilt) -> Shares:
    """Shares in the novelty of each row.

    Distance, surprise and error count as far as they exceed what is typical.
    """
    novelty, expansion = model.mixed_novelty, model.expansion
    assert novelty is not None
    assert expansion is not None
    scaled = torch.from_numpy(rows.scaled).to(model.device)
    points = model.to_points(model.fill(scaled))
    excesses = novelty.excesses(scaled, points, torch.from_numpy(rows.errors).to(points.device))
    weights = np.nan_to_num(excesses.cpu().numpy(), nan=HUGE, posinf=HUGE).clip(0, HUGE)
    weights = np.where(weights.sum(axis=0) > 0, weights, 1.0)[:, :, None]
    away = expansion.by_column((model.one_hot(points) - novelty.novelty.expected(points)).square())
    pairs = novelty.surprise.row_pairs(rows.scaled)
    of_pairs = pairs.by_column()
    surprises = novelty.surprise.columns(rows.scaled) ** POWER + of_pairs
    parts = np.stack(
        [
            weights[0] * _normalized(away.cpu().numpy()),
            weights[1] * _normalized(surprises),
            weights[2] * error_shares(model, rows).columns,
        ]
    )
    columns = _normalized(parts.sum(axis=0))
    within = parts[1] / np.maximum(parts.sum(axis=0), TINY)
    part = of_pairs / np.maximum(surprises, TINY)
    return Shares(columns, columns * within * part, pairs)
