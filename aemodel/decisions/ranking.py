"""Summaries of the scores of a shard.

They are small and merge exactly, so no decision depends on how rows were divided into shards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from aemodel.scores.p_values import ranks

BINS = 60  # of the histogram of scores
REACH = 100.0  # the histogram ends at this multiple of the highest calibration score


@dataclass(frozen=True)
class Ranking:
    """The highest scores, at most `keep`, ordered by descending score, then ascending row.

    scores: (n,) float64. rows: (n,) int64.
    """

    keep: int
    scores: NDArray[np.float64]
    rows: NDArray[np.int64]

    @classmethod
    def of(cls, keep: int, scores: NDArray[np.float64], rows: NDArray[np.int64]) -> Self:
        """Rank scores (m,) of rows (m,)."""
        best = best_first(scores, rows, keep)
        return cls(keep, scores[best], rows[best])

    def merge(self, other: Ranking) -> Ranking:
        """Rank the rows of both."""
        scores = np.concatenate([self.scores, other.scores])
        rows = np.concatenate([self.rows, other.rows])
        return Ranking.of(self.keep, scores, rows)


def best_first(scores: NDArray[np.float64], rows: NDArray[np.int64], keep: int) -> NDArray[np.intp]:
    """Find the `keep` highest of scores (m,).

    Return their indices, ordered by descending score, then ascending row.
    """
    if keep < 1:
        return np.empty(0, np.intp)
    if len(scores) <= keep:
        return np.lexsort((rows, -scores))
    cut = np.partition(scores, len(scores) - keep)[len(scores) - keep]
    high = np.flatnonzero(scores >= cut)
    return high[np.lexsort((rows[high], -scores[high]))[:keep]]


@dataclass(frozen=True)
class Tally:
    """Counts of a night's scores against n calibration scores.

    by_rank: (n + 1,) int64; entry r counts the rows whose score r calibration scores reach.
    picture: (BINS + 2,) int64, histogram over `picture_edges`, with the rows below the first edge
        and above the last.
    above: number of rows above a fixed threshold.
    rows: number of rows.
    """

    by_rank: NDArray[np.int64]
    picture: NDArray[np.int64]
    above: int
    rows: int

    @classmethod
    def of(
        cls,
        calibration: NDArray[np.float64],
        scores: NDArray[np.float64],
        *,
        threshold: float = np.inf,
        judged: NDArray[np.float64] | None = None,
        among: NDArray[np.int64] | None = None,
    ) -> Self:
        """Count scores (m,) against the calibration scores (n,), ascending.

        judged: (m,), in place of the scores in `picture` and `above`, see `entity_groups`.
        among: (m,), the scores' ranks among the calibration scores, if they are known.
        """
        shown = scores if judged is None else judged
        among = ranks(calibration, scores) if among is None else among
        by_rank = np.bincount(among, minlength=len(calibration) + 1)
        picture = _histogram(shown, picture_edges(calibration))
        above = int((shown > threshold).sum())
        return cls(by_rank.astype(np.int64), picture, above, len(scores))

    def merge(self, other: Tally) -> Tally:
        """Add the counts of both."""
        return Tally(
            self.by_rank + other.by_rank,
            self.picture + other.picture,
            self.above + other.above,
            self.rows + other.rows,
        )


def _histogram(scores: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count scores (m,) below, between and above ascending edges (e,): (e + 1,).

    A score on an edge counts above it. To sort takes a quarter of the time to look each score up.
    """
    reached = np.searchsorted(np.sort(scores), edges)
    return np.diff(reached, prepend=0, append=len(scores))


def picture_edges(calibration: NDArray[np.float64]) -> NDArray[np.float64]:
    """Edges (BINS + 1,) of a histogram of scores, ascending and evenly spaced on a log scale.

    They span from the lowest positive calibration score to REACH times the highest.
    """
    positive = calibration[(calibration > 0) & np.isfinite(calibration)]
    low, high = (float(positive[0]), float(positive[-1])) if len(positive) else (1e-6, 1.0)
    return np.geomspace(low, high * REACH, BINS + 1)
