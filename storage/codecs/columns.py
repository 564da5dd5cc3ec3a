"""Whole numbers in columns (n, d) as few bytes, and back, by the range coder of LZMA or by zstd.

Columns of a table know about each other, and both coders only see what stands near. So a column is
written in the order of columns that were written before it, its *parents*: rows that agree there
stand side by side, and the coder learns what to expect of them. The reader, who has the parents
already, puts every value back in its place. Where the rows themselves have an order worth more than
any parent (time, place), a column is written as it stands or as differences.

Numbers of more than one byte are written byte by byte, the highest first, and each further byte in
the order of those before it.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.errors import DamagedError

CODERS = ("xz", "zstd")
ZSTD_LEVEL = 9
STREAM = 32_768  # bytes below which columns share a stream, so that its overhead does not count
MOST_PARENTS = 3
Unsigned = NDArray[np.unsignedinteger]
_LZMA = [{"id": lzma.FILTER_LZMA1, "preset": 6, "lc": 0, "lp": 0, "pb": 0}]


@dataclass(frozen=True)
class Order:
    """How one column is written.

    As differences from the row before, or in the order of its parents, the first of which weighs
    most.
    """

    parents: tuple[int, ...] = ()
    delta: bool = False


def squeeze(content: bytes, coder: str) -> bytes:
    """Bytes in fewer bytes."""
    if coder == "xz":
        return lzma.compress(content, format=lzma.FORMAT_RAW, filters=_LZMA)
    return bytes(pa.Codec("zstd", compression_level=ZSTD_LEVEL).compress(content, asbytes=True))


def expand(content: bytes, coder: str, size: int = -1) -> bytes:
    """The `size` bytes that `squeeze` was given; xz knows their number by itself.

    Raises DamagedError.
    """
    try:
        if coder == "xz":
            found = lzma.decompress(content, format=lzma.FORMAT_RAW, filters=_LZMA)
        else:
            found = pa.Codec("zstd").decompress(content, decompressed_size=size, asbytes=True)
    except (lzma.LZMAError, EOFError, pa.ArrowInvalid, OSError) as error:
        raise DamagedError(
            f"packed values cannot be read ({error}); run verify on the store"
        ) from error
    if size >= 0 and len(found) != size:
        raise DamagedError(
            f"packed values: {len(found)} bytes where {size} are expected; run verify on the store"
        )
    return bytes(found)


def pack_columns(codes: NDArray[np.int64], orders: Sequence[Order], coder: str) -> list[bytes]:
    """Whole numbers (n, d) as parts: a table of what is needed to read them, then the streams."""
    n, d = codes.shape
    table = _Table(np.zeros(d, np.int64), np.zeros(d, np.uint8), tuple(orders))
    keys: list[Unsigned] = []
    planes: list[bytes] = []
    for index, order in enumerate(orders):
        keys.append(_narrow(codes[:, index])[0])
        values, table.lows[index] = _narrow(
            _differences(codes[:, index]) if order.delta else codes[:, index]
        )
        table.widths[index] = _width(values)
        planes.append(
            b"".join(_planes(values, _sorted_by(keys, order, n), int(table.widths[index])))
        )
    return [
        table.pack(),
        *(
            squeeze(b"".join(planes[first:last]), coder)
            for first, last in _groups(n * table.widths.astype(np.int64))
        ),
    ]


def unpack_columns(parts: Sequence[bytes], n: int, d: int, coder: str) -> NDArray[np.int64]:
    """The whole numbers (n, d) of `parts`. Raises DamagedError."""
    table = _Table.unpack(parts[0], d)
    sizes = n * table.widths.astype(np.int64)
    groups = _groups(sizes)
    if len(groups) != len(parts) - 1:
        raise DamagedError(
            f"packed values: {len(parts) - 1} streams where {len(groups)} are expected; run verify on the store"
        )
    raw = b"".join(
        expand(part, coder, int(sizes[first:last].sum()))
        for part, (first, last) in zip(parts[1:], groups, strict=True)
    )
    ends = np.concatenate([[0], np.cumsum(sizes)])
    codes = np.empty((n, d), np.int64)
    keys: list[Unsigned] = []
    for index, order in enumerate(table.orders):
        planes = np.frombuffer(raw, np.uint8, int(sizes[index]), int(ends[index])).reshape(
            int(table.widths[index]), n
        )
        values = _from_planes(planes, _sorted_by(keys, order, n)) + table.lows[index]
        codes[:, index] = np.cumsum(values) if order.delta else values
        keys.append(_narrow(codes[:, index])[0])
    return codes


def packed_size(
    column: NDArray[np.int64], parents: Sequence[NDArray[np.int64]], *, delta: bool, coder: str
) -> int:
    """Bytes of one column (n,) in the order of its parents."""
    keys = [_narrow(parent)[0] for parent in parents]
    values = _narrow(_differences(column) if delta else column)[0]
    rows = _sorted_by(keys, Order(tuple(range(len(keys)))), len(column))
    return len(squeeze(b"".join(_planes(values, rows, _width(values))), coder))


@dataclass(frozen=True)
class _Table:
    """What reading needs of each of d columns.

    Its smallest number, bytes a number, and the order it is written in.
    """

    lows: NDArray[np.int64]
    widths: NDArray[np.uint8]
    orders: tuple[Order, ...]

    def pack(self) -> bytes:
        parents = np.full((MOST_PARENTS, len(self.orders)), -1, "<i2")
        for index, order in enumerate(self.orders):
            parents[: len(order.parents), index] = order.parents
        delta = np.array([order.delta for order in self.orders], np.uint8)
        return squeeze(
            b"".join(
                each.tobytes() for each in (self.lows.astype("<i8"), parents, self.widths, delta)
            ),
            "xz",
        )

    @classmethod
    def unpack(cls, part: bytes, d: int) -> _Table:
        raw = expand(part, "xz", d * (8 + 2 * MOST_PARENTS + 2))
        lows = np.frombuffer(raw, "<i8", d).astype(np.int64)
        parents = np.frombuffer(raw, "<i2", MOST_PARENTS * d, 8 * d).reshape(MOST_PARENTS, d)
        widths, delta = np.frombuffer(raw, np.uint8, 2 * d, len(raw) - 2 * d).reshape(2, d)
        orders = (
            Order(tuple(int(each) for each in parents[:, index] if each >= 0), bool(delta[index]))
            for index in range(d)
        )
        return cls(lows, widths, tuple(orders))


def _differences(column: NDArray[np.int64]) -> NDArray[np.int64]:
    """Differences from the value before, 0 before the first.

    They wrap around as the sum does that undoes them.
    """
    return np.diff(column, prepend=np.int64(0))


def _narrow(column: NDArray[np.int64]) -> tuple[Unsigned, np.int64]:
    """A column less its smallest value, in the narrowest unsigned dtype, and that value."""
    low = column.min() if len(column) else np.int64(0)
    shifted = np.ascontiguousarray(column).view(np.uint64) - low.view(np.uint64)
    return shifted.astype(np.min_scalar_type(int(shifted.max(initial=0)))), low


def _width(values: Unsigned) -> int:
    """Bytes that each of the values takes."""
    return -(-int(values.max(initial=0)).bit_length() // 8)


def _sorted_by(keys: Sequence[Unsigned], order: Order, n: int) -> NDArray[np.intp]:
    """The order in which a column's rows are written."""
    rows = np.arange(n)
    for parent in reversed(order.parents):
        rows = rows[np.argsort(keys[parent][rows], kind="stable")]
    return rows


def _planes(values: Unsigned, rows: NDArray[np.intp], width: int) -> Iterator[bytes]:
    """The bytes of a column from the highest to the lowest, each in the order of those above it."""
    for place in range(8 * (width - 1), -1, -8):
        above = (
            rows[np.argsort((values >> (place + 8))[rows], kind="stable")]
            if place < 8 * (width - 1)
            else rows
        )
        yield (values[above] >> place).astype(np.uint8).tobytes()


def _from_planes(planes: NDArray[np.uint8], rows: NDArray[np.intp]) -> NDArray[np.int64]:
    values = np.zeros(len(rows), np.uint64)
    for index, plane in enumerate(planes):
        above = rows[np.argsort(values[rows], kind="stable")] if index else rows
        values <<= np.uint64(8)
        values[above] |= plane
    return values.view(np.int64)


def _groups(sizes: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Runs of columns that share a stream."""
    cuts, held = [0], 0
    for index, size in enumerate(sizes):
        held += int(size)
        if held >= STREAM or (held and index == len(sizes) - 1):
            cuts.append(index + 1)
            held = 0
    return list(pairwise(cuts))
