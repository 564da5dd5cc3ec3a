"""Keep rows in memory within a byte budget: all of them or none, or a random sample."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aemodel.rows.layout import Layout


class AllRows:
    """Keeps every row while all fit into the budget, and none once they do not.

    `count` is the number of rows offered, kept or not.
    """

    def __init__(self, layout: Layout, budget: int) -> None:
        self.budget, self.count, self.whole = budget, 0, True
        self._rows = _no_rows(layout)

    def add(self, rows: NDArray[np.generic]) -> None:
        """Offer rows (n, *row_shape)."""
        start, self.count = self.count, self.count + len(rows)
        if not self.whole:
            return
        if self._rows.nbytes + rows.nbytes > self.budget:
            self.whole, self._rows = False, self._rows[:0].copy()
        else:
            _grow(self._rows, self.count)
            self._rows[start:] = rows

    @property
    def rows(self) -> NDArray[np.generic] | None:
        """All rows in source order, or None."""
        return self._rows if self.whole else None


class SampledRows:
    """Keeps rows whose hash lies between `low` and a limit; halves that range to fit the budget.

    The sample depends only on the rows, not on their chunks. `high` is the first limit; `low` and
    `high` are shares of the range of hashes. `count` is the number of rows offered.
    """

    def __init__(self, layout: Layout, budget: int, *, low: float = 0.0, high: float = 1.0) -> None:
        self.budget, self.count = budget, 0
        self._low, self._width = low, high - low
        self._hashes, self._rows = np.empty(0, np.uint64), _no_rows(layout)

    def add(self, rows: NDArray[np.generic], hashes: NDArray[np.uint64]) -> None:
        """Offer rows (n, *row_shape) with their hashes (n,), none below `low`."""
        self.count += len(rows)
        self._append(rows, hashes)
        while self._rows.nbytes > self.budget and len(self._rows) > 1:
            self._width /= 2
            kept = self._below_limit(self._hashes)
            self._hashes, self._rows = self._hashes[kept], self._rows[kept]

    def _append(self, rows: NDArray[np.generic], hashes: NDArray[np.uint64]) -> None:
        kept = self._below_limit(hashes)
        start = len(self._rows)
        self._hashes = np.concatenate([self._hashes, hashes[kept]])
        _grow(self._rows, len(self._hashes))
        self._rows[start:] = rows[kept]

    def _below_limit(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        return np.asarray(hashes / 2.0**64 <= self._low + self._width)

    @property
    def rows(self) -> NDArray[np.generic]:
        """The sample, in source order."""
        return self._rows


class BitMask:
    """A boolean for each row of a source, in one bit, built chunk by chunk."""

    def __init__(self) -> None:
        self._whole: list[NDArray[np.uint8]] = []
        self._rest = np.empty(0, np.bool_)

    def append(self, mask: NDArray[np.bool_]) -> None:
        """Append booleans (n,)."""
        mask = np.concatenate([self._rest, mask])
        packed = len(mask) - len(mask) % 8
        self._whole.append(np.packbits(mask[:packed]))
        self._rest = mask[packed:]

    def part(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Return the booleans of rows `start` up to `stop`."""
        first = start // 8
        bits = np.unpackbits(self._packed[first : -(-stop // 8)])
        return bits[start - 8 * first : stop - 8 * first].astype(np.bool_)

    @cached_property
    def _packed(self) -> NDArray[np.uint8]:
        """All bits; nothing is appended after the first use."""
        return np.concatenate([*self._whole, np.packbits(self._rest)])


def _no_rows(layout: Layout) -> NDArray[np.generic]:
    return np.empty((0, *layout.row_shape), layout.dtype)


def _grow(rows: NDArray[np.generic], count: int) -> None:
    """Resize in place to `count` rows, without a second copy."""
    rows.resize((count, *rows.shape[1:]), refcheck=False)
