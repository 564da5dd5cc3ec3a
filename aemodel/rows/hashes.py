"""64-bit hashes of rows by content, and by content and occurrence number; rows seen again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MULTIPLIER = np.uint64(0x9FB21C651E98DF25)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio
BLOCK_WORDS = 1 << 15  # 64-bit words hashed together: they stay in the cache
BUCKET_BITS = 24
BY_CHANCE = 1e-4  # probability that so many rows are seen again by chance
CONFIDENCE = 0.99  # of the bound on how many rows would occur twice

Hashes = NDArray[np.uint64]


def row_hashes(rows: NDArray[np.generic]) -> Hashes:
    """Hash the bytes of each of rows (n, *row_shape): (n,).

    Rows are hashed in little-endian byte order, so the result is the same on every machine. Every
    word is mixed with a key of its position, and the mixed words are added. Not cryptographic.
    """
    rows = np.ascontiguousarray(rows, dtype=rows.dtype.newbyteorder("<"))
    size = rows.dtype.itemsize * int(np.prod(rows.shape[1:], dtype=np.int64))
    hashes = np.full(len(rows), size, np.uint64)
    if rows.size:
        _add_words(hashes, rows.reshape(len(rows), -1).view(np.uint8))
    return mix(hashes)


def content_hashes(rows: NDArray[np.generic]) -> Hashes:
    """Hash rows (n, *row_shape) by the values that they hold, whatever their dtype: (n,)."""
    return row_hashes(rows.astype(np.float64) + 0.0)  # which has no negative zeros


def _add_words(hashes: Hashes, content: NDArray[np.uint8]) -> None:
    """Add the mixed words of content (n, bytes) to hashes (n,)."""
    width = -(-content.shape[1] // 8)
    keys = mix(np.arange(1, width + 1, dtype=np.uint64) * GOLDEN)
    step = min(len(content), max(1, BLOCK_WORDS // width))
    keys = np.tile(keys, (step, 1))  # NumPy's loops over single rows take twice as long
    for start in range(0, len(content), step):
        words = _whole_words(content[start : start + step])
        words = words ^ keys[: len(words)]
        words *= MULTIPLIER
        words ^= words >> np.uint64(32)
        words *= MULTIPLIER
        hashes[start : start + step] += np.einsum("ij->i", words)


def _whole_words(content: NDArray[np.uint8]) -> Hashes:
    """View content (n, bytes) as 64-bit words, the last one padded with zeros."""
    missing = -content.shape[1] % 8
    if missing:
        content = np.pad(content, ((0, 0), (0, missing)))
    return content.view("<u8")


def repeated_share(rows: NDArray[np.generic]) -> float:
    """Return the share of rows (n, *row_shape) that repeat an earlier one."""
    return 1 - len(np.unique(row_hashes(rows))) / len(rows)


def mix(values: Hashes) -> Hashes:
    """Finalizer of SplitMix64 (Steele, Lea & Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


class RowHasher:
    """Hashes the rows of one pass in source order.

    With `count_copies`, the k-th copy of a row gets a hash of its own. Copies are counted in
    2^BUCKET_BITS buckets by content: two contents that share a bucket only number each other's
    copies differently, so memory stays bounded.
    """

    def __init__(self, *, count_copies: bool) -> None:
        self._counts = np.zeros(1 << BUCKET_BITS, np.uint32) if count_copies else None

    def __call__(self, rows: NDArray[np.generic]) -> Hashes:
        """Hash the next rows (n, *row_shape): (n,)."""
        hashes = row_hashes(rows)
        if self._counts is None:
            return hashes
        copies = _count_copies(hashes, self._counts)
        return np.where(copies == 0, hashes, mix(hashes + copies * GOLDEN))


def _count_copies(hashes: Hashes, counts: NDArray[np.uint32]) -> Hashes:
    """Count for each of hashes (n,) how many came before it, in `counts` or in `hashes`."""
    buckets = (hashes >> np.uint64(64 - BUCKET_BITS)).astype(np.intp)
    order = np.argsort(buckets, kind="stable")
    ordered = buckets[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    sizes = np.diff(starts, append=len(ordered))
    before_in_chunk = np.arange(len(ordered)) - np.repeat(starts, sizes)
    copies = np.empty(len(hashes), np.uint64)
    copies[order] = counts[ordered] + before_in_chunk
    counts[ordered[starts]] += sizes.astype(np.uint32)
    return copies


@dataclass(frozen=True)
class SingleRows:
    """Rows of a sample that occur in it once: whether new rows contain more of them than chance.

    hashes: (m,) ascending. dtype: of the rows. rate: upper bound on how often a new row is one of
        them if it is drawn like the sample: for m of its rows that occur once, 2 times the number
        of rows beside them that occur twice, over the sample's size (Good 1953).
    """

    hashes: Hashes
    dtype: np.dtype[np.generic]
    rate: float

    @classmethod
    def of(cls, rows: NDArray[np.generic], copies: NDArray[np.int64], size: int) -> SingleRows:
        """Keep distinct rows (m, *row_shape) that occur so often (m,) in a sample of `size`."""
        from scipy.special import gammaincinv  # late: takes long to import

        single, twice = np.sort(row_hashes(rows[copies == 1])), int((copies == 2).sum())
        most_twice = float(gammaincinv(twice + 1, CONFIDENCE))  # of a Poisson number
        return cls(single, rows.dtype, 2 * most_twice / max(size, int(copies.sum())))

    def seen_in(self, rows: NDArray[np.generic]) -> Hashes:
        """Return the hashes of the single rows that are among rows (n, *row_shape)."""
        return np.intersect1d(self.hashes, row_hashes(rows.astype(self.dtype)))

    def beyond_chance(self, seen: int, rows: int) -> bool:
        """Whether as many as `seen` of them are not among `rows` new rows by chance."""
        from scipy.special import pdtrc  # late: takes long to import

        return seen > 0 and bool(pdtrc(seen - 1, self.rate * rows) < BY_CHANCE)
