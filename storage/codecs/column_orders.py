"""Chooses how to write a column of whole numbers: in row order, as differences, or by parents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from storage.codecs.columns import MOST_PARENTS, Order, packed_size

NEAR = 24  # how many preceding columns may be parents
NEAR_IN_IMAGE = 4
MOST_ROWS = 30_000
MOST_VALUES = 2_000_000  # of all columns together on which orders are tried
FEWEST_ROWS = 256
WORTH = 0.99  # an order must take less than this share of the bytes to replace row order


def choose_orders(codes: NDArray[np.int64], row_shape: Sequence[int]) -> list[Order]:
    """Choose an order for each column of whole numbers (n, d), tried on some of the rows."""
    n, d = codes.shape
    if n < FEWEST_ROWS:
        return [Order()] * d
    some = codes[: max(FEWEST_ROWS, min(MOST_ROWS, MOST_VALUES // d))]
    ranks = np.stack([_ranks(some[:, index]) for index in range(d)], axis=1)
    return [_choose(some, index, _best_parents(ranks, index, row_shape)) for index in range(d)]


def _ranks(column: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rank of each value among the distinct values of a column (n,)."""
    return np.unique(column, return_inverse=True)[1]


def _best_parents(
    ranks: NDArray[np.int64], index: int, row_shape: Sequence[int]
) -> Sequence[int] | None:
    """Return the parents that tell most about a column, the best first; None if it is constant."""
    column = ranks[:, index]
    if column.max() == 0:
        return None
    near = [parent for parent in _near(index, row_shape) if ranks[:, parent].max()]
    near.sort(key=lambda parent: conditional_bits(column, ranks[:, parent]))
    return near[:MOST_PARENTS]


def _choose(codes: NDArray[np.int64], index: int, parents: Sequence[int] | None) -> Order:
    if parents is None:
        return Order()
    by_parents = [Order(tuple(parents[: count + 1])) for count in range(len(parents))]
    tried = [Order(), Order(delta=True), *by_parents]
    # zstd ranks orders as xz does, and is faster
    best = min(tried, key=lambda order: _size(codes, index, order, "zstd"))
    limit = WORTH * _size(codes, index, Order(), "xz")
    return best if _size(codes, index, best, "xz") < limit else Order()


def _size(codes: NDArray[np.int64], index: int, order: Order, coder: str) -> int:
    parents = [codes[:, parent] for parent in order.parents]
    return packed_size(codes[:, index], parents, delta=order.delta, coder=coder)


def _near(index: int, row_shape: Sequence[int]) -> list[int]:
    """Return the columns that may be parents of column `index`, ascending.

    These are the nearest before it, and in an image those above it.
    """
    wide = row_shape[-1] if len(row_shape) > 1 else 0
    before = range(index - (NEAR_IN_IMAGE if wide else NEAR), index)
    above = range(index - wide - 1, index - wide + 2) if wide else range(0)
    return sorted({column for column in (*before, *above) if 0 <= column < index})


def conditional_bits(column: NDArray[np.int64], parent: NDArray[np.int64]) -> float:
    """Return the bits per value of a column of ranks (n,) once its parent's ranks (n,) are known.

    Sparse counts are corrected after Miller (1955).
    """
    both = np.unique(column * (int(parent.max()) + 1) + parent, return_counts=True)[1]
    return _bits(both) - _bits(np.bincount(parent)[np.unique(parent)])


def _bits(counts: NDArray[np.int64]) -> float:
    """Return the entropy of counts, in bits."""
    shares = counts / counts.sum()
    correction = (len(counts) - 1) / (2 * np.log(2) * counts.sum())
    return float(-(shares * np.log2(shares)).sum() + correction)
