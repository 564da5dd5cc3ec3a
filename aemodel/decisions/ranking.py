"""What shards say of their scores.

Small summaries whose merge is exact, so that no decision depends on shards or their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from aemodel.scores.p_values import ranks

BINS = 60  # of the picture of scores
REACH = 100.0  # the picture ends at this many times the highest calibration score


@dataclass(frozen=True)
class Ranking:
    """The highest scores, at most `keep` of them, in order.

    Score descending, then row ascending. scores, rows: (n,).
    """

    keep: int
    scores: NDArray[np.float64]
    rows: NDArray[np.int64]

    @classmethod
    def of(cls, keep: int, scores: NDArray[np.float64], rows: NDArray[np.int64]) -> Self:
        """The highest `keep` of scores (m,) of rows (m,)."""
        best = best_first(scores, rows, keep)
        return cls(keep, scores[best], rows[best])

    def merge(self, other: Ranking) -> Ranking:
        """The highest of both."""
        return Ranking.of(
            self.keep,
            np.concatenate([self.scores, other.scores]),
            np.concatenate([self.rows, other.rows]),
        )


def best_first(scores: NDArray[np.float64], rows: NDArray[np.int64], keep: int) -> NDArray[np.intp]:
    """Indices of the `keep` highest of scores (m,) in order of rank.

    Score descending, row ascending.
    """
    if keep < 1 or len(scores) <= 4 * keep:
        return np.lexsort((rows, -scores))[: max(keep, 0)]
    cut = np.partition(scores, len(scores) - keep)[len(scores) - keep]
    high = np.flatnonzero(scores >= cut)
    return high[np.lexsort((rows[high], -scores[high]))[:keep]]


@dataclass(frozen=True)
class Tally:
    """Counts of a night's scores against the calibration scores.

    by_rank (n + 1,) int64: how many rows have r calibration scores at least as high as theirs, r =
    0 to n. picture (BINS + 2,) int64: how many fall between the edges of `picture_edges`, below the
    first and above the last.
    above: how many are above a fixed threshold. rows: how many there are.
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
    ) -> Self:
        """Count scores (m,) against the ascending `calibration`."""
        by_rank = np.bincount(ranks(calibration, scores), minlength=len(calibration) + 1)
        picture = np.bincount(
            np.searchsorted(picture_edges(calibration), scores, side="right"), minlength=BINS + 2
        )
        return cls(
            by_rank.astype(np.int64),
            picture.astype(np.int64),
            int((scores > threshold).sum()),
            len(scores),
        )

    def merge(self, other: Tally) -> Tally:
        """The counts of both."""
        return Tally(
            self.by_rank + other.by_rank,
            self.picture + other.picture,
            self.above + other.above,
            self.rows + other.rows,
        )


def picture_edges(calibration: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ascending edges (BINS + 1,) of a histogram, even on a log scale, from the lowest calibration score to REACH times the highest."""
    positive = calibration[(calibration > 0) & np.isfinite(calibration)]
    low, high = (float(positive[0]), float(positive[-1])) if len(positive) else (1e-6, 1.0)
    return np.geomspace(low, high * REACH, BINS + 1)
