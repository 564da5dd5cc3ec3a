"""How many rows of a night repeat another one, by a sample of contents that merges exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from aemodel.rows.hashes import Hashes, mix, row_hashes

MOST_CONTENTS = 1 << 14  # in the sample
OF_ROW = np.uint64((1 << 32) - 1)  # the half of a key that hashes the row


@dataclass(frozen=True)
class RepeatedRows:
    """Sampled contents and how often each occurs.

    Equal rows have equal scores, so the sample holds contents whose score has a hash below
    2^(64 - halvings), and no other row has to be hashed. Few contents are all in the sample.

    keys: (m,) distinct and ascending; one half hashes the score, the other the row.
    counts: (m,) rows.
    """

    keys: Hashes
    counts: NDArray[np.int64]
    halvings: int

    @classmethod
    def none(cls) -> Self:
        """No rows."""
        return cls(np.empty(0, np.uint64), np.empty(0, np.int64), 0)

    @classmethod
    def of(
        cls, rows: NDArray[np.generic], scores: NDArray[np.float64], *, halvings: int = 0
    ) -> Self:
        """Sample rows (n, *row_shape) with scores (n,)."""
        hashes = mix(scores.view(np.uint64))
        mine = np.flatnonzero(_sampled(hashes, halvings))
        keys = hashes[mine] & ~OF_ROW | row_hashes(rows[mine]) & OF_ROW
        found, counts = np.unique(keys, return_counts=True)
        return cls(found, counts.astype(np.int64), halvings)._bounded()

    def merge(self, other: Self) -> Self:
        """Return the sample of the rows of both."""
        both = np.concatenate([self.keys, other.keys])
        order = np.argsort(both, kind="stable")  # which merges what is ascending
        keys, counts = both[order], np.concatenate([self.counts, other.counts])[order]
        firsts = np.flatnonzero(np.diff(keys, prepend=~keys[:1]))
        halvings = max(self.halvings, other.halvings)
        return type(self)(keys[firsts], np.add.reduceat(counts, firsts), halvings)._bounded()

    def _bounded(self) -> Self:
        """Return a sample of at most MOST_CONTENTS contents."""
        halvings, keys = self.halvings, self.keys
        kept = _sampled(keys, halvings)
        while kept.sum() > MOST_CONTENTS:
            halvings += 1
            kept = _sampled(keys, halvings)
        return type(self)(keys[kept], self.counts[kept], halvings)

    @property
    def share(self) -> float:
        """Share of the rows that repeat another: all rows of a content but one."""
        rows = int(self.counts.sum())
        return 1 - len(self.keys) / rows if rows else 0.0


def _sampled(hashes: Hashes, halvings: int) -> NDArray[np.bool_]:
    return hashes <= np.uint64((1 << (64 - halvings)) - 1)
