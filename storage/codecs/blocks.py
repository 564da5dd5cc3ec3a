"""A block: consecutive rows of a store with an error bound, as bytes that describe themselves.

byte 0         codec: 0 grid, 1 residual, 2 sz3, 3 differences
byte 1         coder of its streams: 0 xz, 1 zstd, 2 pcodec, 3 zstd at its fastest
bytes 2 to 5   number of rows
bytes 6 to 9   number of parts; then the length of each part, 4 bytes
parts          those of the codec, then two for the exceptions: their places among all values, and
               the original values

An exception is a value that the codec does not restore within the bound: NaN, infinities, −0.0,
and values that rounding moved too far.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from storage.codecs import sz3
from storage.codecs.columns import CODERS, Order, expand, pack_columns, squeeze, unpack_columns
from storage.codecs.deviation import distance, pieces
from storage.codecs.differences import unpack_differences
from storage.codecs.grid import Grid, restore_types, to_dtype
from storage.errors import DamagedError

CODECS = ("grid", "residual", "sz3", "differences")
LARGEST_CODE = 2**31
_HEAD = struct.Struct("<BBII")
Predicted = NDArray[np.float64] | None


@dataclass(frozen=True)
class Bound:
    """The promised precision.

    tolerance: (d,) largest error of a value, by column, in data units. rmse: largest root mean
    square error. types: see `restore_types`; values are compared as a reader gets them.
    """

    tolerance: NDArray[np.float64]
    rmse: float = float("inf")
    types: Sequence[str] = ()

    def broken(self, rows: NDArray[np.generic], back: NDArray[np.generic]) -> NDArray[np.intp]:
        """Return the flat places of values in `rows` (n, d) that `back` restores out of bounds."""
        found = [
            self._broken(rows[piece], back[piece]) + piece.start * rows.shape[1]
            for piece in pieces(rows)
        ]
        return np.concatenate([np.empty(0, np.intp), *found])

    def _broken(self, rows: NDArray[np.generic], back: NDArray[np.generic]) -> NDArray[np.intp]:
        if rows.dtype.kind != "f":
            return np.flatnonzero(distance(rows, back) > np.floor(self.tolerance))
        with np.errstate(invalid="ignore", over="ignore"):
            apart = np.subtract(rows, back, dtype=np.float64)
            close = np.abs(apart, out=apart) <= self.tolerance
            if not np.isfinite(apart.sum()):
                close &= np.isfinite(rows) & np.isfinite(back)
        negative = _negative_zero(rows)
        if negative.any():
            close &= ~negative | _negative_zero(back)
        return np.flatnonzero(~close)


def _negative_zero(values: NDArray[np.generic]) -> NDArray[np.bool_]:
    return np.asarray((values == 0) & np.signbit(values))


class Codec(Protocol):
    """Turns rows (n, d) into the parts of a block."""

    @property
    def name(self) -> str:
        """One of CODECS."""
        ...

    @property
    def coder(self) -> str:
        """The coder of its streams, one of CODERS."""
        ...

    def pack(self, rows: NDArray[np.generic], predicted: Predicted) -> list[bytes]:
        """Return the parts, without exceptions.

        predicted: (n, d), the decoder's output for the stored latents; only some codecs need it.
        Raises CodecError if it cannot pack them.
        """
        ...


@dataclass(frozen=True)
class GridCodec:
    """Rounds values to a grid, or keeps them exactly on the grid on which they lie."""

    grid: Grid
    orders: Sequence[Order]
    coder: str = "xz"
    name: str = "grid"

    def pack(
        self,
        rows: NDArray[np.generic],
        predicted: Predicted,  # noqa: ARG002 (one signature for all codecs)
    ) -> list[bytes]:
        """Return the grids, then the codes."""
        codes = pack_columns(self.grid.codes(rows), self.orders, self.coder)
        return [squeeze(self.grid.pack(), "xz"), *codes]


@dataclass(frozen=True)
class ResidualCodec:
    """Rounds the difference between values and the decoder's output; step: (d,)."""

    step: NDArray[np.float64]
    orders: Sequence[Order]
    coder: str = "xz"
    name: str = "residual"

    def pack(self, rows: NDArray[np.generic], predicted: Predicted) -> list[bytes]:
        """Return the steps, then the codes."""
        assert predicted is not None
        with np.errstate(invalid="ignore", over="ignore"):
            steps = np.rint((rows.astype(np.float64) - predicted) / self.step)
        codes = np.where(np.abs(steps) < LARGEST_CODE, steps, 0).astype(np.int64)
        packed_steps = squeeze(self.step.astype("<f8").tobytes(), "xz")
        return [packed_steps, *pack_columns(codes, self.orders, self.coder)]


@dataclass(frozen=True)
class Sz3Codec:
    """SZ3 over values in units of the bound; layout: one of `sz3.LAYOUTS`."""

    tolerance: NDArray[np.float64]
    row_shape: tuple[int, ...]
    layout: str
    coder: str = "xz"
    name: str = "sz3"

    def pack(
        self,
        rows: NDArray[np.generic],
        predicted: Predicted,  # noqa: ARG002 (one signature for all codecs)
    ) -> list[bytes]:
        """Return the units, then SZ3's own stream."""
        return sz3.compress(rows, self.tolerance, self.row_shape, self.layout)


@dataclass(frozen=True)
class _Packed:
    """The parsed parts of a block, without exceptions; shape: (n, d)."""

    codec: str
    coder: str
    parts: Sequence[bytes]
    shape: tuple[int, int]

    def rows(self, dtype: str, predicted: Predicted) -> NDArray[np.generic]:
        """Return the rows (n, d), without exceptions."""
        if self.codec == "sz3":
            return sz3.decompress(self.parts, self.shape, dtype)
        if self.codec == "differences":
            return unpack_differences(self.parts, self.shape, self.coder, dtype)
        codes = unpack_columns(self.parts[1:], *self.shape, self.coder)
        head = _expand(self.parts[0])
        if self.codec == "grid":
            return Grid.unpack(head).values(codes, dtype)
        assert predicted is not None
        return to_dtype(predicted + codes * np.frombuffer(head, "<f8"), dtype)


def encode_block(
    codec: Codec, rows: NDArray[np.generic], predicted: Predicted, bound: Bound
) -> tuple[bytes, NDArray[np.generic]]:
    """Encode rows (n, d) as a block.

    Returns the block, and the rows (n, d) that a reader will get. Raises CodecError.
    """
    n, d = rows.shape
    parts = codec.pack(rows, predicted)
    back = _Packed(codec.name, codec.coder, parts, (n, d)).rows(rows.dtype.name, predicted)
    restore_types(back, bound.types)
    places = bound.broken(rows, back)
    back.reshape(-1)[places] = rows.reshape(-1)[places]
    parts = [*parts, *_pack_exceptions(rows, places)]
    lengths = np.array([len(part) for part in parts], "<u4").tobytes()
    head = _HEAD.pack(CODECS.index(codec.name), CODERS.index(codec.coder), n, len(parts))
    return head + lengths + b"".join(parts), back


def decode_block(
    block: bytes, row_size: int, dtype: str, predicted: Predicted
) -> NDArray[np.generic]:
    """Return the rows (n, row_size) of a block. Raises DamagedError."""
    try:
        codec, coder, n, count = _HEAD.unpack_from(block)
        parts = _split_parts(block, count)
        packed = _Packed(CODECS[codec], CODERS[coder], parts[:-2], (n, row_size))
        rows = packed.rows(dtype, predicted)
    except (struct.error, ValueError, IndexError) as error:
        raise DamagedError(
            f"a block of values cannot be read ({error}); run verify on the store"
        ) from error
    _restore_exceptions(rows, parts[-2], parts[-1])
    return rows


def codec_of(block: bytes) -> str:
    """Return the name of the codec that wrote a block."""
    return CODECS[block[0]]


def _split_parts(block: bytes, count: int) -> list[bytes]:
    lengths = np.frombuffer(block, "<u4", count, _HEAD.size)
    ends = _HEAD.size + 4 * count + np.concatenate([[0], np.cumsum(lengths)])
    return [block[int(first) : int(last)] for first, last in pairwise(ends)]


def _gap_dtype(rows: NDArray[np.generic]) -> str:
    """Return the dtype of the gaps between exceptions."""
    return "<u8" if rows.size >= 2**32 else "<u4"


def _pack_exceptions(rows: NDArray[np.generic], places: NDArray[np.intp]) -> list[bytes]:
    """Return two parts: the gaps between `places`, and the values of `rows` (n, d) there."""
    if not len(places):
        return [b"", b""]
    gaps = np.diff(places, prepend=0).astype(_gap_dtype(rows))
    kept = np.ascontiguousarray(rows).reshape(-1)[places]
    little_endian = kept.astype(kept.dtype.newbyteorder("<"))
    return [squeeze(gaps.tobytes(), "xz"), squeeze(little_endian.tobytes(), "xz")]


def _restore_exceptions(rows: NDArray[np.generic], gaps: bytes, kept: bytes) -> None:
    """Put the exceptions of a block back into its rows (n, d), in place."""
    if not gaps:
        return
    values = np.frombuffer(_expand(kept), rows.dtype.newbyteorder("<"))
    places = np.cumsum(np.frombuffer(_expand(gaps), _gap_dtype(rows)).astype(np.int64))
    rows.reshape(-1)[places] = values


def _expand(part: bytes) -> bytes:
    return expand(part, "xz")
