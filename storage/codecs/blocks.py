"""A block: some consecutive rows of a store that holds an error bound, as bytes that explain themselves.

byte 0         codec: 0 grid, 1 residual, 2 sz3                byte 1   coder of its streams: 0 xz, 1 zstd
bytes 2 to 5   rows                                             bytes 6 to 9   number of parts; then the length of each
parts          what the codec wrote, then two of exceptions: their places among all values, and the values as they are in the source

An exception is a value that the codec would not bring back as the bound asks: NaN, infinities, −0.0, and what rounding moved too far.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from storage.codecs import sz3
from storage.codecs.columns import CODERS, Order, expand, pack_columns, squeeze, unpack_columns
from storage.codecs.grid import MARGIN, Grid, to_dtype
from storage.errors import DamagedError

CODECS = ("grid", "residual", "sz3")
_HEAD = struct.Struct("<BBII")
Predicted = NDArray[np.float64] | None


@dataclass(frozen=True)
class Bound:
    """What was promised: no value further off than its column's `tolerance` (d,), in data units.

    Root mean square at most `rmse`.
    """

    tolerance: NDArray[np.float64]
    rmse: float = float("inf")

    def broken(self, rows: NDArray[Any], back: NDArray[Any]) -> NDArray[np.intp]:
        """Places, in reading order, of values of `rows` (n, d) that `back` does not give back as promised."""
        if rows.dtype.kind != "f":
            return np.flatnonzero(distance(rows, back) > np.floor(self.tolerance))
        with np.errstate(invalid="ignore", over="ignore"):
            close = np.abs(rows.astype(np.float64) - back.astype(np.float64)) <= self.tolerance
        close &= (
            np.isfinite(rows)
            & np.isfinite(back)
            & ~((rows == 0) & np.signbit(rows) & ((back != 0) | ~np.signbit(back)))
        )
        return np.flatnonzero(~close)


def distance(rows: NDArray[Any], back: NDArray[Any]) -> NDArray[np.float64]:
    """How far whole numbers lie apart, without overflow."""
    high, low = np.maximum(rows, back), np.minimum(rows, back)
    wide = np.uint64 if rows.dtype == np.uint64 else np.int64
    return np.asarray(
        (high.astype(wide).view(np.uint64) - low.astype(wide).view(np.uint64)).astype(np.float64)
    )


class Codec(Protocol):
    """Turns rows (n, d) into the parts of a block."""

    @property
    def name(self) -> str:
        """One of CODECS."""
        ...

    @property
    def coder(self) -> str:
        """What its streams are packed with."""
        ...

    def pack(self, rows: NDArray[Any], predicted: Predicted) -> list[bytes]:
        """The parts, without exceptions.

        `predicted` (n, d): what the decoder makes of the latents, where the codec needs it.
        """
        ...


@dataclass(frozen=True)
class GridCodec:
    """Values rounded to a grid, or exact ones on the grid that they lie on."""

    grid: Grid
    orders: Sequence[Order]
    coder: str = "xz"
    name: str = "grid"

    def pack(self, rows: NDArray[Any], predicted: Predicted) -> list[bytes]:  # noqa: ARG002 (one signature for all codecs)
        """The grids, then the whole numbers."""
        return [
            squeeze(self.grid.pack(), "xz"),
            *pack_columns(self.grid.codes(rows), self.orders, self.coder),
        ]


@dataclass(frozen=True)
class ResidualCodec:
    """What the decoder predicts, and the rounded difference to it; step (d,)."""

    step: NDArray[np.float64]
    orders: Sequence[Order]
    coder: str = "xz"
    name: str = "residual"

    def pack(self, rows: NDArray[Any], predicted: Predicted) -> list[bytes]:
        """The steps, then the whole numbers."""
        assert predicted is not None
        with np.errstate(invalid="ignore", over="ignore"):
            steps = np.rint((rows.astype(np.float64) - predicted) / self.step)
        codes = np.where(np.abs(steps) < 2**31, steps, 0).astype(np.int64)
        return [
            squeeze(self.step.astype("<f8").tobytes(), "xz"),
            *pack_columns(codes, self.orders, self.coder),
        ]


@dataclass(frozen=True)
class Sz3Codec:
    """SZ3 over values in units of the bound; layout as in `storage.codecs.sz3`."""

    tolerance: NDArray[np.float64]
    row_shape: tuple[int, ...]
    layout: str
    coder: str = "xz"
    name: str = "sz3"

    def pack(self, rows: NDArray[Any], predicted: Predicted) -> list[bytes]:  # noqa: ARG002 (one signature for all codecs)
        """The units, then SZ3's own stream."""
        return sz3.pack(rows, self.tolerance, self.row_shape, self.layout)


def residual_step(tolerance: NDArray[np.float64], dtype: str) -> NDArray[np.float64]:
    """The widest step (d,) of residuals that keeps `tolerance` (d,).

    Whole numbers are rounded once more when they are brought back.
    """
    if np.dtype(dtype).kind == "f":
        return np.asarray(2 * tolerance * (1 - MARGIN))
    return np.asarray(2 * np.floor(tolerance) + 1 - 2 * MARGIN)


def encode_block(
    codec: Codec, rows: NDArray[Any], predicted: Predicted, bound: Bound
) -> tuple[bytes, NDArray[Any]]:
    """A block of rows (n, d), and what a reader will get of it."""
    n, d = rows.shape
    parts = codec.pack(rows, predicted)
    back = _unpack(codec.name, parts, n, d, rows.dtype.name, codec.coder, predicted)
    places = bound.broken(rows, back)
    back.reshape(-1)[places] = rows.reshape(-1)[places]
    if len(places):
        gaps = np.diff(places, prepend=0).astype("<u8" if rows.size >= 2**32 else "<u4")
        kept = np.ascontiguousarray(rows).reshape(-1)[places]
        parts += [
            squeeze(gaps.tobytes(), "xz"),
            squeeze(kept.astype(kept.dtype.newbyteorder("<")).tobytes(), "xz"),
        ]
    else:
        parts += [b"", b""]
    lengths = np.array([len(part) for part in parts], "<u4").tobytes()
    head = _HEAD.pack(CODECS.index(codec.name), CODERS.index(codec.coder), n, len(parts))
    return head + lengths + b"".join(parts), back


def decode_block(block: bytes, row_size: int, dtype: str, predicted: Predicted) -> NDArray[Any]:
    """The rows (n, row_size) of a block. Raises DamagedError."""
    try:
        codec, coder, n, count = _HEAD.unpack_from(block)
        lengths = np.frombuffer(block, "<u4", count, _HEAD.size)
        ends = _HEAD.size + 4 * count + np.concatenate([[0], np.cumsum(lengths)])
        parts = [block[int(first) : int(last)] for first, last in pairwise(ends)]
        rows = _unpack(CODECS[codec], parts[:-2], n, row_size, dtype, CODERS[coder], predicted)
    except (struct.error, ValueError, IndexError) as error:
        raise DamagedError(
            f"a block of values cannot be read ({error}); run verify on the store"
        ) from error
    if parts[-2]:
        kept = np.frombuffer(_expand(parts[-1]), np.dtype(dtype).newbyteorder("<"))
        gaps = np.frombuffer(_expand(parts[-2]), "<u8" if rows.size >= 2**32 else "<u4")
        rows.reshape(-1)[np.cumsum(gaps.astype(np.int64))] = kept
    return rows


def codec_of(block: bytes) -> str:
    """The name of the codec that wrote a block."""
    return CODECS[block[0]]


def rows_of(block: bytes) -> int:
    """The number of rows in a block."""
    return int(_HEAD.unpack_from(block)[2])


def _expand(part: bytes) -> bytes:
    return expand(part, "xz")


def _unpack(
    name: str, parts: Sequence[bytes], n: int, d: int, dtype: str, coder: str, predicted: Predicted
) -> NDArray[Any]:
    if name == "sz3":
        return sz3.unpack(parts, n, d, dtype)
    codes = unpack_columns(parts[1:], n, d, coder)
    if name == "grid":
        return Grid.unpack(_expand(parts[0])).values(codes, dtype)
    assert predicted is not None
    return to_dtype(predicted + codes * np.frombuffer(_expand(parts[0]), "<f8"), dtype)
