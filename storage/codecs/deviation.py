"""Differences between values and what is read back, exact for 64-bit whole numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)
CACHED_VALUES = 1 << 15
WIDE = 1024  # values side by side
LARGEST = float(np.finfo(np.float64).max)
SQUARED_SAFELY = 2.0**500  # sums of squares of numbers from 1 / this to this are exact enough


def distance(rows: NDArray[np.generic], back: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return the absolute differences of whole numbers, without overflow."""
    wide = np.uint64 if rows.dtype == np.uint64 else np.int64
    high = np.maximum(rows, back).astype(wide).view(np.uint64)
    low = np.minimum(rows, back).astype(wide).view(np.uint64)
    return np.asarray((high - low).astype(np.float64))


def differences(rows: NDArray[np.generic], back: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return the absolute differences of rows and what is read back, both of one dtype.

    0 where `rows` has a gap; at most the largest float64, also where `back` is not finite.
    """
    if rows.dtype.kind in "iu" and rows.dtype.itemsize == np.dtype(np.int64).itemsize:
        return distance(rows, back)
    with np.errstate(invalid="ignore", over="ignore"):
        apart: NDArray[np.float64] = np.subtract(rows, back, dtype=np.float64)
        np.abs(apart, out=apart)
        if not np.isfinite(apart.sum()):
            apart = np.nan_to_num(apart, copy=False, nan=LARGEST, posinf=LARGEST)
            apart[~np.isfinite(rows)] = 0.0
    return apart


def largest_of(apart: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the largest value (d,) of columns (n, d), at least 0."""
    widest = side_by_side(apart).max(axis=0, initial=0.0)
    return np.asarray(widest.reshape(-1, apart.shape[1]).max(axis=0))


def norms(
    apart: NDArray[np.float64], largest: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return the roots of the sums of squares (d,) of columns (n, d), without overflow.

    largest: what `largest_of` returns, if it is known.
    """
    largest = largest_of(apart) if largest is None else largest
    if ((largest == 0) | ((largest > 1 / SQUARED_SAFELY) & (largest < SQUARED_SAFELY))).all():
        wide = side_by_side(apart)
        squares = np.einsum("ij,ij->j", wide, wide).reshape(-1, apart.shape[1])
        return np.asarray(np.sqrt(squares.sum(axis=0)))
    units = np.array([unit_of(each) for each in largest.tolist()])
    scaled = apart / units
    roots = np.sqrt(np.einsum("ij,ij->j", scaled, scaled))
    return np.asarray(np.minimum(roots, LARGEST / np.maximum(units, 1.0)) * units)


def unit_of(largest: float) -> float:
    """Return a power of two in which numbers up to `largest` can be squared; 1 if they can be."""
    if largest == 0 or 1 / SQUARED_SAFELY < largest < SQUARED_SAFELY:
        return 1.0
    return math.ldexp(1.0, max(-1000, math.frexp(min(largest, LARGEST))[1] - 1))


def pieces(rows: NDArray[np.generic]) -> Iterator[slice]:
    """Yield slices of rows (n, d) that are short enough for what is computed to stay cached."""
    size = max(1, CACHED_VALUES // max(1, rows.shape[1]))
    for start in range(0, len(rows), size):
        yield slice(start, start + size)


def side_by_side(rows: NDArray[T]) -> NDArray[T]:
    """Return rows (n, d) as (n / b, b * d), b a power of two; a view of contiguous rows.

    NumPy takes almost as long for a row of 8 values as for one of 64.
    """
    n, d = rows.shape
    most = max(1, WIDE // max(1, d))
    beside = math.gcd(n, 1 << (most.bit_length() - 1))
    return rows.reshape(n // beside, beside * d)


def repeated(columns: NDArray[T], wide: NDArray[np.generic]) -> NDArray[T]:
    """Repeat values of columns (d,) for all rows that lie side by side in `wide`."""
    return np.concatenate([columns] * (wide.shape[1] // max(1, len(columns))))
