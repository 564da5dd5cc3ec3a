"""How much blocks of clean rows (files, days) differ from each other in their scores.

A block is described twice. Shares of its held-out rows have scores at or below a few calibration
quantiles; they are compared as angles arcsin(sqrt(share)), whose variance over random rows is
1 / (4 n), whatever the share. They tell apart mixtures of states, but end at 0 and 1. The block's
own quantiles, compared as logarithms, tell apart levels, however far they lie from each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.decisions.ranking import Tally, picture_edges

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)  # calibration quantiles; outliers lie above all of them
FEWEST_ROWS = 20  # of a block that is compared
FEWEST_BLOCKS = 5  # to tell how blocks differ, where rows of every block were fitted
SIGNIFICANCE = 1e-2  # that one more clean block lies beyond the others
# What one more of k values exceeds in 0.75 % of all cases if they are exponentially distributed:
# distance from the mean of k others over sqrt(s^2 (1 + 1 / k)), their variance being s^2. Of normal
# values it is exceeded less often. From 10^6 to 4 10^6 draws each.
BLOCK_COUNTS = (2, 3, 4, 5, 6, 8, 10, 14, 20, 30, 50, 100, 300, 1000)
FARTHEST = (127, 20.6, 12.3, 9.56, 8.23, 6.84, 6.15, 5.45, 4.96, 4.60, 4.32, 4.10, 3.97, 3.93)
DIFFERENCE = 1e-2  # significance of a difference between blocks
LEAST_SPREAD = 0.02  # standard deviation of angles; less is no difference worth a word
NEAR = 0.05  # calibration quantiles so far on both sides of a level give the slope at it

Shares = NDArray[np.float64]
Scores = NDArray[np.float64]
Compared = tuple[NDArray[np.int64], Shares, Scores]


@dataclass(frozen=True)
class BlockScores:
    """What one score says about the blocks of the clean rows.

    kind: what blocks are, in the plural, as in "files".
    rows: (b,) int64, held-out rows of each block that is compared.
    shares: (b, len(LEVELS)) float64, of these rows at or below each calibration quantile.
    quantiles: (b, len(LEVELS)) float64, of these rows' own scores.
    members: (n,) int32, block of each calibration row, in the order of the ascending scores; empty
        unless whole blocks were held out.
    """

    kind: str
    rows: NDArray[np.int64]
    shares: Shares
    quantiles: Scores
    members: NDArray[np.int32]

    @property
    def held_out(self) -> bool:
        """Whether no row of a calibration block was fitted."""
        return len(self.members) > 0

    @property
    def can_compare(self) -> bool:
        """Whether there are enough blocks to tell how they differ."""
        return len(self.rows) >= (2 if self.held_out else FEWEST_BLOCKS)

    def beyond(self, calibration: Scores, tally: Tally) -> float:
        """How far a night lies from the mean of the blocks, over what one more block may differ.

        Above 1, the night is no block like the others: an angle lies beyond its limit, or two log
        quantiles do, see `farthest`. A single quantile does not count: where scores have gaps or
        repeat, it jumps as soon as the share of rows below crosses its level, and blocks on one
        side of the gap say nothing about the size of the jump.

        calibration: (n,), ascending.
        """
        logs = log_scores(self.quantiles, calibration)
        tonight = log_scores(night_quantiles(calibration, tally), calibration)
        angles, share = to_angles(self.shares), to_angles(shares_at_levels(tally))
        of_share = np.full(len(LEVELS), 1 / (4 * tally.rows))
        by_share = _distances(share, angles, of_share)
        by_quantile = _distances(tonight, logs, quantile_variance(calibration, tally.rows))
        away = max(by_share.max(), np.sort(by_quantile)[-2])
        return float(away / farthest(len(self.rows)))

    def differ(self, calibration: Scores) -> bool:
        """Whether blocks differ by more than chance from all calibration rows, and noticeably.

        calibration: (n,), ascending.
        """
        from scipy.special import chdtrc  # late: takes long to import

        rows, limits = self.rows[:, None], calibration[level_places(len(calibration))]
        expected = np.searchsorted(calibration, limits, side="right") / len(calibration)
        variance = np.maximum(expected * (1 - expected), 1e-12)  # 0 where all scores are equal
        statistic = (rows * (self.shares - expected) ** 2).sum(axis=0) / variance
        significant = chdtrc(len(rows), statistic) * len(LEVELS) < DIFFERENCE
        away = to_angles(self.shares) - to_angles(expected)
        spread = (away**2 - 1 / (4 * rows)).mean(axis=0)
        return bool((significant & (spread > LEAST_SPREAD**2)).any())


@dataclass(frozen=True, kw_only=True)
class MeasuredBlocks:
    """What a bundle keeps about blocks of clean rows, for each of SCORES.

    cuts: (2,) float64, see `aemodel.rows.blocks.BlockSplit`, or (0,) if no block was held out.
    rows: (b,) int64. shares, quantiles: (3, b, len(LEVELS)) float64. members: (3, n) int32, or
        (3, 0) if no block was held out. See `BlockScores`.
    """

    cuts: NDArray[np.float64]
    rows: NDArray[np.int64]
    shares: Shares
    quantiles: Scores
    members: NDArray[np.int32]

    def by(self, place: int, kind: str) -> BlockScores:
        """What the score at `place` among SCORES says about blocks that are called `kind`."""
        shares, quantiles = self.shares[place], self.quantiles[place]
        return BlockScores(kind, self.rows, shares, quantiles, self.members[place])

    def shapes(self, n: int) -> dict[str, tuple[NDArray[np.generic], tuple[int, ...]]]:
        """Every array with the shape that n calibration rows require."""
        held_out, compared = len(self.cuts) > 0, (3, len(self.rows), len(LEVELS))
        return {
            "blocks.cuts": (self.cuts, (2,) if held_out else (0,)),
            "blocks.shares": (self.shares, compared),
            "blocks.quantiles": (self.quantiles, compared),
            "blocks.members": (self.members, (3, n if held_out else 0)),
        }


def farthest(blocks: int) -> float:
    """How many standard deviations one more block may lie from the mean of `blocks` others.

    The larger of two limits: that of a t test with Bonferroni's correction for all angles and
    quantiles, at SIGNIFICANCE, and FARTHEST. The first would do for normal values. But squared
    errors add up what is unusual of a block, so most blocks are alike and some differ much: as the
    exponential distribution has it, which a few blocks cannot tell from a normal one.
    """
    from scipy.special import stdtrit  # late: takes long to import

    normal = -stdtrit(blocks - 1, SIGNIFICANCE / (4 * len(LEVELS)))
    skewed = np.interp(np.log(blocks), np.log(BLOCK_COUNTS), FARTHEST)
    return float(max(normal, skewed))


def _distances(value: Scores, others: Scores, variance: Scores) -> Scores:
    """Distances of values (k,) from the mean of others (b, k), in standard deviations.

    variance: (k,), of the values over random rows.
    """
    spread = others.var(axis=0, ddof=1) * (1 + 1 / len(others)) + variance
    away = np.abs(value - others.mean(axis=0))
    return np.asarray(away / np.maximum(np.sqrt(spread), 1e-9))


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


def night_quantiles(calibration: Scores, tally: Tally) -> Scores:
    """Quantiles (len(LEVELS),) of a night's scores, rounded up.

    They are rounded to a calibration score, above all of these to an edge of the histogram.
    """
    wanted = np.array(LEVELS) * tally.rows
    places = np.searchsorted(np.cumsum(tally.by_rank[::-1]), wanted)
    edges = picture_edges(calibration)
    bins = np.minimum(np.searchsorted(np.cumsum(tally.picture), wanted), len(edges) - 1)
    inside = calibration[np.minimum(places, len(calibration) - 1)]
    return np.where(places < len(calibration), inside, np.maximum(edges[bins], inside))


def quantile_variance(calibration: Scores, rows: int) -> Scores:
    """Variance (len(LEVELS),) of log quantiles of `rows` random rows: q (1 - q) / (rows f^2).

    The density f is that of the calibration scores around each quantile.
    """
    levels = np.array(LEVELS)
    low, high = (np.quantile(calibration, levels + side) for side in (-NEAR, NEAR))
    slope = (log_scores(high, calibration) - log_scores(low, calibration)) / (2 * NEAR)
    return np.asarray(slope**2 * levels * (1 - levels) / rows)


def log_scores(scores: Scores, calibration: Scores) -> Scores:
    """Logarithm of scores, limited to the histogram's range, so that 0 and infinity count too."""
    edges = picture_edges(calibration)
    return np.log(np.clip(scores, edges[0], edges[-1]))


def compare_blocks(
    calibration: Scores,
    scores: Scores,
    numbers: NDArray[np.intp],
    *,
    usual: Scores | None = None,
) -> Compared:
    """Rows (b,), shares and quantiles (b, len(LEVELS)) of blocks with FEWEST_ROWS or more.

    calibration: (n,), ascending, n >= 1. scores: (m,) of held-out rows. numbers: (m,), their
    blocks. usual: (m,), what the scores would be if all blocks were alike; without it, they would
    be distributed as the calibration scores.
    """
    rows = np.bincount(numbers)
    kept = np.flatnonzero(rows >= FEWEST_ROWS)
    found = [_describe(calibration, scores[numbers == block]) for block in kept]
    size = (len(kept), len(LEVELS))
    shares = np.reshape([shares for shares, _ in found], size)
    quantiles = np.reshape([quantiles for _, quantiles in found], size)
    if usual is None:
        return rows[kept], shares, quantiles
    of_calibration, of_usual = (_describe(calibration, each) for each in (calibration, usual))
    angles = to_angles(shares) - to_angles(of_usual[0]) + to_angles(of_calibration[0])
    known = (of_usual[1] > 0) & np.isfinite(of_usual[1])
    ratio = np.divide(of_calibration[1], of_usual[1], out=np.ones(len(LEVELS)), where=known)
    return rows[kept], np.sin(np.clip(angles, 0, np.pi / 2)) ** 2, quantiles * ratio


def _describe(calibration: Scores, scores: Scores) -> tuple[Shares, Scores]:
    """Shares of scores (m,) at or below each calibration quantile, and their own quantiles."""
    limits = calibration[level_places(len(calibration))]
    shares = (scores[:, None] <= limits).mean(axis=0)
    return shares, np.quantile(scores, LEVELS, method="inverted_cdf")
