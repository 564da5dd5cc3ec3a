"""Rows kept in memory up to a byte budget: all of them or none, or a fair sample of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aemodel.rows.layout import Layout


class AllRows:
    """Every row while they fit into the budget; none as soon as they do not.

    `count` goes on in any case.
    """

    def __init__(self, layout: Layout, budget: int) -> None:
        self.budget, self.count, self.whole = budget, 0, True
        self._rows = _no_rows(layout)

    def add(self, rows: NDArray[Any]) -> None:
        """Take in rows (n, *row_shape)."""
        start, self.count = self.count, self.count + len(rows)
        if not self.whole:
            return
        if self._rows.nbytes + rows.nbytes > self.budget:
            self.whole, self._rows = False, self._rows[:0].copy()
        else:
            self._rows.resize(
                (self.count, *self._rows.shape[1:]), refcheck=False
            )  # grows in place: no second copy
            self._rows[start:] = rows

    @property
    def rows(self) -> NDArray[Any] | None:
        """All rows in order, or None."""
        return self._rows if self.whole else None


class SampledRows:
    """Rows whose hash lies below a mark; the mark is halved, towards `low`, whenever they outgrow the budget.

    Which rows are left in the end depends on the rows alone, not on how they were chunked. `count` counts every row offered.
    """

    def __init__(self, layout: Layout, budget: int, *, low: float = 0.0, high: float = 1.0) -> None:
        self.budget, self.count = budget, 0
        self._low, self._width = low, high - low
        self._hashes, self._rows = np.empty(0, np.uint64), _no_rows(layout)

    def add(self, rows: NDArray[Any], hashes: NDArray[np.uint64]) -> None:
        """Offer rows (n, *row_shape) with their hashes (n,)."""
        self.count += len(rows)
        near = self._near(hashes)
        self._hashes = np.concatenate([self._hashes, hashes[near]])
        start, fresh = len(self._rows), rows[near]
        self._rows.resize((start + len(fresh), *self._rows.shape[1:]), refcheck=False)
        self._rows[start:] = fresh
        while self._rows.nbytes > self.budget and len(self._rows) > 1:
            self._width /= 2
            near = self._near(self._hashes)
            self._hashes, self._rows = self._hashes[near], self._rows[near]

    def _near(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        return np.asarray(hashes / 2.0**64 <= self._low + self._width)

    @property
    def rows(self) -> NDArray[Any]:
        """The sample, in source order."""
        return self._rows


def _no_rows(layout: Layout) -> NDArray[Any]:
    return np.empty((0, *layout.row_shape), layout.dtype)
