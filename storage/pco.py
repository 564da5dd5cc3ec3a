"""Numbers by pcodec: fast, without the order of other columns.

Each column is a stream of its own; pcodec finds differences and common factors by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pcodec import ChunkConfig, standalone

from storage.errors import DamagedError


def pack_numbers(column: NDArray[np.generic]) -> bytes:
    """Pack a column (n,) of integers or floats of 8 to 64 bits."""
    config = ChunkConfig(enable_8_bit=column.dtype.itemsize == 1)
    return bytes(standalone.simple_compress(np.ascontiguousarray(column), config))


def unpack_numbers(stream: bytes, n: int) -> NDArray[np.generic]:
    """Return the column (n,) of `pack_numbers`. Raises DamagedError."""
    try:
        column = standalone.simple_decompress(stream)
    except (RuntimeError, TypeError) as error:
        raise DamagedError(
            f"packed values cannot be read ({error}); run verify on the store"
        ) from error
    found: NDArray[np.generic] = np.empty(0, np.uint8) if column is None else np.asarray(column)
    if len(found) != n:
        raise DamagedError(
            f"packed values: expected {n} in a column, got {len(found)}; run verify on the store"
        )
    return found


def pack_each(codes: NDArray[np.int64]) -> list[bytes]:
    """Pack whole numbers (n, d): the smallest of each column, then a stream for each."""
    columns = np.ascontiguousarray(codes.T)
    lows = columns.min(axis=1) if len(codes) else np.zeros(len(columns), np.int64)
    streams = [_pack(column, low) for column, low in zip(columns, lows, strict=True)]
    return [lows.astype("<i8").tobytes(), *streams]


def unpack_each(parts: Sequence[bytes], n: int, d: int) -> NDArray[np.int64]:
    """Return the whole numbers (n, d) of `pack_each`. Raises DamagedError."""
    columns, lows = np.empty((d, n), np.int64), np.frombuffer(parts[0], "<i8", d)
    for column, stream, low in zip(columns, parts[1:], lows, strict=True):
        column[...] = unpack_numbers(stream, n).astype(np.uint64).view(np.int64)
        column += low
    return columns.T


def _pack(column: NDArray[np.int64], low: np.int64) -> bytes:
    shifted = column.view(np.uint64) - np.uint64(low.view(np.uint64))
    widest = np.min_scalar_type(int(shifted.max(initial=0)))
    return pack_numbers(shifted.astype(widest))
