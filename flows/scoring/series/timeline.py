"""The highest score of each entity in each bin of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 96  # of a night


@dataclass(frozen=True)
class Bins:
    """Bins of time: ticks of the first one's begin, and of the length of each."""

    first: float
    length: float

    @classmethod
    def between(cls, first: float, last: float) -> Bins:
        """Cut the time from `first` to `last` into BINS."""
        return cls(first, max((last - first) / BINS, 1e-9))

    def of(self, times: NDArray[np.generic]) -> NDArray[np.int32]:
        """Return the bin of each time (n,)."""
        found = (times.astype(np.float64) - self.first) / self.length
        return np.clip(found, 0, BINS - 1).astype(np.int32)


@dataclass(frozen=True)
class Highest:
    """Highest scores (k,) by entity (k,) and bin (k,), each pair once, ascending."""

    entities: NDArray[np.int32]
    bins: NDArray[np.int32]
    scores: NDArray[np.float64]

    @classmethod
    def none(cls) -> Highest:
        """No scores."""
        return cls(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0))

    @classmethod
    def of(
        cls,
        entities: NDArray[np.int32],
        bins: NDArray[np.int32],
        scores: NDArray[np.float64],
    ) -> Highest:
        """Take the highest of scores (n,); NaN counts as none."""
        known = ~np.isnan(scores)
        key = entities[known].astype(np.int64) * BINS + bins[known]
        found, place = np.unique(key, return_inverse=True)
        best = np.full(len(found), -np.inf)
        np.maximum.at(best, place, scores[known])
        return cls((found // BINS).astype(np.int32), (found % BINS).astype(np.int32), best)

    def merge(self, other: Highest) -> Highest:
        """Return the highest of both."""
        return Highest.of(
            np.concatenate([self.entities, other.entities]),
            np.concatenate([self.bins, other.bins]),
            np.concatenate([self.scores, other.scores]),
        )
