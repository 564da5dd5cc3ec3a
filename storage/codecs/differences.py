"""Codes as differences from their neighbors, for signals, images and fields.

All values lie on one grid. Rows (n, *row_shape) are differenced along one axis after the other:
along FLAT for a series cut into rows, along both axes of an image (the Lorenzo predictor), along
FLAT twice for a smooth series.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from storage.codecs.columns import Order, pack_columns, unpack_columns
from storage.codecs.grid import Grid
from storage.codecs.outside import far_outside, fill_forward

FLAT = 255  # all values in reading order, as one axis
MOST_AXES = 4
MOST_VALUES = 1 << 17  # on which axes are tried
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class DifferencesCodec:
    """Rounds values to one grid, or keeps them exactly on it, and writes differences.

    grid: of one column. axes: along which differences are taken, one after the other.
    """

    grid: Grid
    row_shape: tuple[int, ...]
    axes: tuple[int, ...]
    coder: str = "xz"
    name: str = "differences"

    def pack(self, rows: NDArray[np.generic], predicted: object) -> list[bytes]:  # noqa: ARG002 (one signature for all codecs)
        """Return grid, shape and axes, then the differences."""
        codes = one_grid_codes(rows, self.grid).reshape(len(rows), *self.row_shape)
        differences = take_differences(codes, self.axes).reshape(-1, 1)
        return [self._head(), *pack_columns(differences, [Order()], self.coder)]

    def _head(self) -> bytes:
        counts = bytes([len(self.row_shape), len(self.axes), *self.axes])
        return counts + struct.pack(f"<{len(self.row_shape)}I", *self.row_shape) + self.grid.pack()


def unpack_differences(
    parts: Sequence[bytes], shape: tuple[int, int], coder: str, dtype: str
) -> NDArray[np.generic]:
    """Return the rows (n, d) of a DifferencesCodec's parts. Raises DamagedError."""
    head, n = parts[0], shape[0]
    first = 2 + head[1]
    row_shape = np.frombuffer(head, "<u4", head[0], first).tolist()
    differences = unpack_columns(parts[1:], n * shape[1], 1, coder)
    codes = undo_differences(differences.reshape(n, *row_shape), tuple(head[2:first]))
    grid = Grid.unpack(head[first + 4 * head[0] :])
    return grid.values(codes.reshape(-1, 1), dtype).reshape(shape)


def one_grid_codes(rows: NDArray[np.generic], grid: Grid) -> Codes:
    """Return the codes (n, d) of rows on one grid; values far outside get the code before them."""
    column = np.ascontiguousarray(rows).reshape(-1, 1)
    if grid.divisor[0]:
        far = far_outside(column, float(grid.step[0] / grid.divisor[0]))
    else:
        far = ~np.isfinite(column)
    return fill_forward(grid.codes(column), far).reshape(rows.shape)


def take_differences(codes: Codes, axes: Sequence[int]) -> Codes:
    """Return codes (n, *row_shape) differenced along each axis; they wrap around."""
    for axis in axes:
        line = codes.reshape(-1) if axis == FLAT else codes
        along = 0 if axis == FLAT else axis
        codes = np.diff(line, axis=along, prepend=np.int64(0)).reshape(codes.shape)
    return codes


def undo_differences(codes: Codes, axes: Sequence[int]) -> Codes:
    """Return the codes of `take_differences`."""
    for axis in reversed(axes):
        line = codes.reshape(-1) if axis == FLAT else codes
        along = 0 if axis == FLAT else axis
        codes = np.cumsum(line, axis=along).reshape(codes.shape)
    return codes


def choose_axes(codes: Codes, row_shape: Sequence[int]) -> tuple[int, ...]:
    """Return the axes along which the differences of codes (n, d) tell least anew."""
    few = codes[: max(2, MOST_VALUES // max(1, codes.shape[1]))]
    field = few.reshape(len(few), *row_shape)
    return min(_tried(field.ndim), key=lambda axes: _entropy_bits(take_differences(field, axes)))


def _tried(ndim: int) -> Iterator[tuple[int, ...]]:
    """Yield the axes that are tried on a field."""
    yield from ((FLAT,), (FLAT, FLAT), (FLAT, 0))
    last = range(max(0, ndim - MOST_AXES), ndim)
    for count in range(1, len(last) + 1):
        yield from combinations(last, count)


def _entropy_bits(codes: Codes) -> float:
    """Return the bits per value of codes of any shape."""
    shares = np.unique(codes, return_counts=True)[1] / max(1, codes.size)
    return float(-(shares * np.log2(shares)).sum())
