"""In which order a column of whole numbers is best written.

As it stands, as differences, or by the columns before it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from storage.codecs.columns import MOST_PARENTS, Order, packed_size

NEAR = 24  # columns before a column that may be its parents
MOST_ROWS = 30_000
MOST_VALUES = 2_000_000  # of all columns together that orders are tried on
FEWEST_ROWS = 256
FAIR = 0.99  # an order is better where it takes this share of the bytes


def choose_orders(codes: NDArray[np.int64], row_shape: Sequence[int]) -> list[Order]:
    """An order for each column of whole numbers (n, d), tried on some of the rows."""
    n, d = codes.shape
    if n < FEWEST_ROWS:
        return [Order()] * d
    some = codes[: max(FEWEST_ROWS, min(MOST_ROWS, MOST_VALUES // d))]
    ranks = np.stack(
        [np.unique(some[:, index], return_inverse=True)[1] for index in range(d)], axis=1
    )
    return [_choose(some, ranks, index, row_shape) for index in range(d)]


def _choose(
    codes: NDArray[np.int64], ranks: NDArray[np.int64], index: int, row_shape: Sequence[int]
) -> Order:
    if ranks[:, index].max() == 0:
        return Order()
    near = [parent for parent in _near(index, row_shape) if ranks[:, parent].max()]
    parents = sorted(near, key=lambda parent: conditional_bits(ranks[:, index], ranks[:, parent]))[
        :MOST_PARENTS
    ]
    tried = [
        Order(),
        Order(delta=True),
        *(Order(tuple(parents[:count])) for count in range(1, len(parents) + 1)),
    ]
    best = min(
        tried, key=lambda order: _size(codes, index, order, "zstd")
    )  # zstd is quicker, and sees the same
    return (
        best
        if _size(codes, index, best, "xz") < FAIR * _size(codes, index, Order(), "xz")
        else Order()
    )


def _size(codes: NDArray[np.int64], index: int, order: Order, coder: str) -> int:
    return packed_size(
        codes[:, index],
        [codes[:, parent] for parent in order.parents],
        delta=order.delta,
        coder=coder,
    )


def _near(index: int, row_shape: Sequence[int]) -> list[int]:
    """The columns that may be parents of column `index`.

    The nearest before it, and in a picture those above it.
    """
    wide = row_shape[-1] if len(row_shape) > 1 else 0
    above = [index - wide + shift for shift in (-1, 0, 1)] if wide else []
    width = 4 if wide else NEAR
    return sorted({each for each in [*range(index - width, index), *above] if 0 <= each < index})


def conditional_bits(column: NDArray[np.int64], parent: NDArray[np.int64]) -> float:
    """Bits of a column of ranks (n,) once its parent's are known.

    Sparse counts corrected after Miller (1955).
    """
    both = np.unique(column * (int(parent.max()) + 1) + parent, return_counts=True)[1]
    return _bits(both) - _bits(np.bincount(parent)[np.unique(parent)])


def _bits(counts: NDArray[np.int64]) -> float:
    shares = counts / counts.sum()
    return float(
        -(shares * np.log2(shares)).sum() + (len(counts) - 1) / (2 * np.log(2) * counts.sum())
    )
