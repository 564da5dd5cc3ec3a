"""How much blocks of clean rows (files, days) differ from each other in their scores.

A block is described by the shares of its held-out rows whose scores do not exceed a few calibration
quantiles, as angles arcsin(sqrt(share)): the variance of an angle over random rows is 1 / (4 n),
whatever the share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.decisions.ranking import Tally

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)  # calibration quantiles; outliers lie above all of them
FEWEST_ROWS = 20  # of a block that is compared
FEWEST_BLOCKS = 5  # to tell how blocks differ, where rows of every block were fitted
SIGNIFICANCE = 5e-3  # that one more clean block lies beyond the others
DIFFERENCE = 1e-2  # significance of a difference between blocks
LEAST_SPREAD = 0.02  # standard deviation of angles; less is no difference worth a word

Shares = NDArray[np.float64]


@dataclass(frozen=True)
class BlockScores:
    """What one score says about the blocks of the clean rows.

    kind: what blocks are, in the plural, as in "files".
    rows: (b,) int64, held-out rows of each block that is compared.
    shares: (b, len(LEVELS)) float64, of these rows at or below each calibration quantile.
    members: (n,) int32, block of each calibration row, in the order of the ascending scores; empty
        unless whole blocks were held out.
    """

    kind: str
    rows: NDArray[np.int64]
    shares: Shares
    members: NDArray[np.int32]

    @property
    def held_out(self) -> bool:
        """Whether no row of a calibration block was fitted."""
        return len(self.members) > 0

    @property
    def can_compare(self) -> bool:
        """Whether there are enough blocks to tell how they differ."""
        return len(self.rows) >= (2 if self.held_out else FEWEST_BLOCKS)

    def beyond(self, tally: Tally) -> float:
        """How far a night lies from the mean of the blocks, over what one more block may differ.

        A t test for one more value of each share, Bonferroni's correction over LEVELS: above 1,
        the night is no block like the others. Nights that are independent of each other and of the
        blocks exceed 1 in at most SIGNIFICANCE of all cases if angles are normal.
        """
        from scipy.stats import t  # late: takes long to import

        angles, blocks = to_angles(self.shares), len(self.rows)
        tonight = to_angles(shares_at_levels(tally))
        variance = angles.var(axis=0, ddof=1) * (1 + 1 / blocks) + 1 / (4 * tally.rows)
        limit = t.isf(SIGNIFICANCE / (2 * len(LEVELS)), blocks - 1)
        return float((np.abs(tonight - angles.mean(axis=0)) / np.sqrt(variance)).max() / limit)

    def differ(self) -> bool:
        """Whether the blocks differ from each other by more than chance, and noticeably."""
        from scipy.stats import chi2  # late: takes long to import

        angles, rows = to_angles(self.shares), self.rows[:, None]
        pooled = (rows * self.shares).sum(axis=0) / rows.sum()
        variance = np.maximum(pooled * (1 - pooled), 1e-12)  # 0 where all scores are equal
        statistic = (rows * (self.shares - pooled) ** 2).sum(axis=0) / variance
        significant = chi2.sf(statistic, len(rows) - 1) * len(LEVELS) < DIFFERENCE
        spread = angles.var(axis=0, ddof=1) - (1 / (4 * rows)).mean()
        return bool((significant & (spread > LEAST_SPREAD**2)).any())


@dataclass(frozen=True, kw_only=True)
class MeasuredBlocks:
    """What a bundle keeps about blocks of clean rows, for each of SCORES.

    cuts: (2,) float64, see `aemodel.rows.blocks.BlockSplit`, or (0,) if no block was held out.
    rows: (b,) int64. shares: (3, b, len(LEVELS)) float64. members: (3, n) int32, or (3, 0) if no
        block was held out. See `BlockScores`.
    """

    cuts: NDArray[np.float64]
    rows: NDArray[np.int64]
    shares: Shares
    members: NDArray[np.int32]

    def by(self, place: int, kind: str) -> BlockScores:
        """What the score at `place` among SCORES says about blocks that are called `kind`."""
        return BlockScores(kind, self.rows, self.shares[place], self.members[place])

    def shapes(self, n: int) -> dict[str, tuple[NDArray[np.generic], tuple[int, ...]]]:
        """Every array with the shape that n calibration rows require."""
        held_out = len(self.cuts) > 0
        return {
            "blocks.cuts": (self.cuts, (2,) if held_out else (0,)),
            "blocks.shares": (self.shares, (3, len(self.rows), len(LEVELS))),
            "blocks.members": (self.members, (3, n if held_out else 0)),
        }


def to_angles(shares: Shares) -> Shares:
    """arcsin(sqrt(share)), from 0 to pi / 2."""
    return np.arcsin(np.sqrt(np.clip(shares, 0.0, 1.0)))


def level_places(n: int) -> NDArray[np.intp]:
    """Indices of LEVELS among n ascending calibration scores, n >= 1."""
    return np.asarray(np.minimum(n - 1, np.array(LEVELS) * n), np.intp)


def shares_at_levels(tally: Tally) -> Shares:
    """Shares (len(LEVELS),) of a night's rows at or below each calibration quantile."""
    n = len(tally.by_rank) - 1
    reached = np.cumsum(tally.by_rank[::-1])  # entry k: rows that n - k calibration scores reach
    return np.asarray(reached[level_places(n)] / tally.rows)


def block_shares(
    calibration: NDArray[np.float64], scores: NDArray[np.float64], numbers: NDArray[np.intp]
) -> tuple[NDArray[np.int64], Shares]:
    """Rows (b,) and shares (b, len(LEVELS)) of each block with FEWEST_ROWS or more.

    calibration: (n,), ascending, n >= 1. scores: (m,) of held-out rows. numbers: (m,), their
    blocks.
    """
    below = scores[:, None] <= calibration[level_places(len(calibration))]
    rows = np.bincount(numbers)
    counts = np.stack([np.bincount(numbers, weights=each) for each in below.T], axis=1)
    kept = rows >= FEWEST_ROWS
    return rows[kept].astype(np.int64), counts[kept] / rows[kept, None]
