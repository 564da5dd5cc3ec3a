"""Which features moved: tonight's features against those of clean rows, robust to heavy tails.

Values are standardized by median and interquartile range of clean rows and clipped, tonight and in
the clean rows alike, so that a heavy tail alone does not count as a move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aemodel.rows.quantiles import column_quantiles

CLIP = 4.0  # spreads; values farther out say nothing about the bulk
MAX_NAMED = 5
LEAST_SPREAD = 1e-30  # its inverse is within float32
BLOCK_VALUES = 131_072  # summed at once: 512 KiB of float32 stay in the cache
IQR_OF_NORMAL = 1.3489795  # interquartile range of a normal distribution with sd 1

Columns = NDArray[np.float64]  # (d,)


@dataclass(frozen=True)
class FeatureShift:
    """How one feature moved.

    mean: shift in clean spreads. deviation: ratio to the clean one. missing: share of rows tonight
    without a value.
    """

    index: int
    mean: float
    deviation: float
    missing: float


@dataclass(frozen=True)
class FeatureTally:
    """Sums over rows for each feature, in clean spreads from the clean center, clipped.

    rows: number of rows. count, total, squares: (d,) float64. outside: (d,) rows outside the clean
    range of a feature; 0 where that is not counted.
    """

    rows: int
    count: Columns
    total: Columns
    squares: Columns
    outside: Columns

    @classmethod
    def of(
        cls,
        scaled: NDArray[np.float32],
        center: Columns,
        spread: Columns,
        outside: Columns | None = None,
    ) -> Self:
        """Sum scaled rows (n, d), NaN where a value is missing; center, spread, outside: (d,)."""
        sums = np.zeros((3, len(center)))
        middle = torch.from_numpy(center).float()
        factor = torch.from_numpy(1 / np.maximum(spread, LEAST_SPREAD)).float()
        for rows in cached_blocks(scaled):
            values = (rows - middle).mul_(factor).clamp_(-CLIP, CLIP)
            sums += [each.numpy() for each in _sums(values)]
        beyond = np.zeros(scaled.shape[1]) if outside is None else outside
        count, total, squares = sums
        return cls(len(scaled), count, total, squares, beyond)

    def merge(self, other: FeatureTally) -> FeatureTally:
        """Add the sums of both."""
        return FeatureTally(
            self.rows + other.rows,
            self.count + other.count,
            self.total + other.total,
            self.squares + other.squares,
            self.outside + other.outside,
        )

    def usual(self) -> Columns:
        """Mean, deviation and share of missing values of each feature, (3, d)."""
        known = np.maximum(self.count, 1)
        mean = self.total / known
        deviation = np.sqrt(np.maximum(self.squares / known - mean**2, 0))
        return np.stack([mean, deviation, 1 - self.count / max(1, self.rows)])

    def moved(self, clean: Columns) -> list[FeatureShift]:
        """List the features that moved most against clean rows, at most MAX_NAMED.

        clean: (3, d), what `usual` gave for clean rows. A feature that is missing in all rows
        moved as far as a feature can.
        """
        mean, deviation, missing = self.usual()
        shift = np.where(self.count > 0, mean - clean[0], 0.0)
        ratio = _ratio(deviation, clean[1], self.count)
        # rare values alone, as in a pixel that is nearly always black, have a small deviation
        weight = np.minimum(1.0, np.maximum(deviation, clean[1]))
        change = np.maximum(np.abs(shift), weight * np.abs(np.log(ratio)))
        change = np.maximum(change, CLIP * np.abs(missing - clean[2]))
        largest = np.argsort(-change, kind="stable")[:MAX_NAMED]
        found = np.stack([shift, ratio, missing], axis=1)[largest]
        return [FeatureShift(int(index), *row) for index, row in zip(largest, found, strict=True)]


def cached_blocks(scaled: NDArray[np.float32]) -> Sequence[Tensor]:
    """Split rows (n, d) into blocks that stay in the cache."""
    rows = torch.from_numpy(scaled)
    return torch.split(rows, max(1, BLOCK_VALUES // max(1, rows.shape[1])))


def _sums(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Count, total and squares (d,) of the values that are not NaN in each column of (n, d)."""
    count, total = torch.full(values.shape[1:], len(values)), values.sum(dim=0)
    if total.isnan().any():
        missing = values.isnan()
        count -= missing.sum(dim=0)
        total = values.masked_fill_(missing, 0).sum(dim=0)
    return count, total, values.square_().sum(dim=0)


def _ratio(deviation: Columns, clean: Columns, count: Columns) -> Columns:
    """Ratio of deviations, from 1/CLIP to CLIP; 1 without values or clean deviation."""
    known = (count > 0) & (clean > 0)
    ratio = np.divide(deviation, clean, out=np.ones_like(clean), where=known)
    return np.clip(ratio, 1 / CLIP, CLIP)


def center_and_spread(scaled: NDArray[np.float32]) -> tuple[Columns, Columns]:
    """Median and robust spread (d,), (d,) of scaled rows (n, d); NaN and infinities do not count.

    The spread is the interquartile range over that of a normal, else the standard deviation of
    what is not clipped, else 1.
    """
    values = np.where(np.isfinite(scaled), scaled, np.nan).astype(np.float64)
    values[:, np.isnan(values).all(axis=0)] = 0.0
    first, center, third = column_quantiles(values, [0.25, 0.5, 0.75])
    spread = (third - first) / IQR_OF_NORMAL
    spread = np.where(spread > 0, spread, np.nanstd(values, axis=0))
    return center, np.where((spread > 0) & np.isfinite(spread), spread, 1.0)
