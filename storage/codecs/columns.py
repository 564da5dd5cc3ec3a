"""Columns of whole numbers (n, d) as few bytes, by the range coder of LZMA, by zstd, or by pcodec.

Columns of a table carry information about each other, but both coders see only neighboring bytes.
So a column is written in the order of columns written before it, its *parents*: rows that agree
there become neighbors, and the coder learns what to expect. The reader already has the parents and
puts every value back in its place. Where the order of the rows (time, place) helps more than any
parent, a column is written in row order or as differences.

Numbers of more than one byte are written byte by byte, the highest first, and each further byte in
the order of those before it.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.errors import DamagedError
from storage.pco import pack_each, unpack_each

CODERS = ("xz", "zstd", "pco", "fast zstd")
ZSTD_LEVELS = {"zstd": 9, "fast zstd": 1}
STREAM_BYTES = 32_768  # smaller columns share a stream, which has an overhead
MOST_PARENTS = 3
Unsigned = NDArray[np.unsignedinteger]
MOST_WINDOW = 1 << 23  # bytes in which LZMA looks for matches; readers expect no more
_LZMA = {"id": lzma.FILTER_LZMA1, "preset": 6, "lc": 0, "lp": 0, "pb": 0, "dict_size": MOST_WINDOW}


@dataclass(frozen=True)
class Order:
    """How a column is written: in the order of its parents, or as differences between rows.

    The first parent weighs most.
    """

    parents: tuple[int, ...] = ()
    delta: bool = False


def squeeze(content: bytes, coder: str) -> bytes:
    """Compress bytes."""
    if coder == "xz":
        window = 1 << max(12, (len(content) - 1).bit_length())  # a wider one costs milliseconds
        filters = [{**_LZMA, "dict_size": min(window, MOST_WINDOW)}]
        return lzma.compress(content, format=lzma.FORMAT_RAW, filters=filters)
    codec = pa.Codec("zstd", compression_level=ZSTD_LEVELS[coder])
    return bytes(codec.compress(content, asbytes=True))


def expand(content: bytes, coder: str, size: int = -1) -> bytes:
    """Return the `size` bytes given to `squeeze`; xz needs no size. Raises DamagedError."""
    try:
        expanded = _decompressed(content, coder, size)
    except (lzma.LZMAError, EOFError, pa.ArrowInvalid, OSError) as error:
        raise DamagedError(
            f"packed values cannot be read ({error}); run verify on the store"
        ) from error
    if size >= 0 and len(expanded) != size:
        raise DamagedError(
            f"packed values: expected {size} bytes, got {len(expanded)}; run verify on the store"
        )
    return expanded


def _decompressed(content: bytes, coder: str, size: int) -> bytes:
    if coder == "xz":
        return lzma.decompress(content, format=lzma.FORMAT_RAW, filters=[_LZMA])
    return bytes(pa.Codec("zstd").decompress(content, decompressed_size=size, asbytes=True))


def pack_columns(codes: NDArray[np.int64], orders: Sequence[Order], coder: str) -> list[bytes]:
    """Pack whole numbers (n, d) as parts: a table of what reading needs, then the streams.

    pcodec uses no orders.
    """
    if coder == "pco":
        return pack_each(codes)
    n, d = codes.shape
    table = _Table(np.zeros(d, np.int64), np.zeros(d, np.uint8), tuple(orders))
    parents, keys = _parents(orders), dict[int, Unsigned]()
    columns: list[bytes] = []
    for index, order in enumerate(orders):
        column = codes[:, index]
        values, table.lows[index] = _narrow(_differences(column) if order.delta else column)
        width = table.widths[index] = _width(values)
        columns.append(_pack(values, keys, order, width))
        if index in parents:
            keys[index] = _narrow(column)[0] if order.delta else values
    streams = [b"".join(columns[first:last]) for first, last in _groups(table.sizes(n))]
    return [table.pack(), *(squeeze(stream, coder) for stream in streams)]


def unpack_columns(parts: Sequence[bytes], n: int, d: int, coder: str) -> NDArray[np.int64]:
    """Return the whole numbers (n, d) of `pack_columns`. Raises DamagedError."""
    if coder == "pco":
        return unpack_each(parts, n, d)
    table = _Table.unpack(parts[0], d)
    sizes = table.sizes(n)
    raw = _expand_streams(parts[1:], sizes, coder)
    starts = np.cumsum(sizes) - sizes
    codes = np.empty((d, n), np.int64).T
    parents, keys = _parents(table.orders), dict[int, Unsigned]()
    for index, order in enumerate(table.orders):
        planes = np.frombuffer(raw, np.uint8, int(sizes[index]), int(starts[index]))
        values = codes[:, index]
        values[:] = _unpack(planes.reshape(int(table.widths[index]), n), keys, order)
        values += table.lows[index]
        if order.delta:
            np.cumsum(values, out=values)
        if index in parents:
            keys[index] = _narrow(values)[0]
    return codes


def _expand_streams(streams: Sequence[bytes], sizes: NDArray[np.int64], coder: str) -> bytes:
    """Return the bytes of all columns, one after the other; sizes: (d,) bytes of each column."""
    groups = _groups(sizes)
    if len(groups) != len(streams):
        raise DamagedError(
            f"packed values: expected {len(groups)} streams, got {len(streams)}; "
            "run verify on the store"
        )
    return b"".join(
        expand(stream, coder, int(sizes[first:last].sum()))
        for stream, (first, last) in zip(streams, groups, strict=True)
    )


def packed_size(
    column: NDArray[np.int64], parents: Sequence[NDArray[np.int64]], *, delta: bool, coder: str
) -> int:
    """Return the bytes of one column (n,) in the order of its parents."""
    keys = {index: _narrow(parent)[0] for index, parent in enumerate(parents)}
    values = _narrow(_differences(column) if delta else column)[0]
    return len(squeeze(_pack(values, keys, Order(tuple(keys)), _width(values)), coder))


@dataclass(frozen=True)
class _Table:
    """What reading needs to know of each of d columns.

    lows: (d,) smallest number. widths: (d,) bytes per number. orders: how each is written.
    """

    lows: NDArray[np.int64]
    widths: NDArray[np.uint8]
    orders: tuple[Order, ...]

    def sizes(self, n: int) -> NDArray[np.int64]:
        """Return the bytes (d,) of each column of n rows."""
        return n * self.widths.astype(np.int64)

    def pack(self) -> bytes:
        parents = np.full((MOST_PARENTS, len(self.orders)), -1, "<i2")
        for index, order in enumerate(self.orders):
            parents[: len(order.parents), index] = order.parents
        delta = np.array([order.delta for order in self.orders], np.uint8)
        arrays = (self.lows.astype("<i8"), parents, self.widths, delta)
        return squeeze(b"".join(array.tobytes() for array in arrays), "xz")

    @classmethod
    def unpack(cls, part: bytes, d: int) -> _Table:
        raw = expand(part, "xz", d * (8 + 2 * MOST_PARENTS + 2))
        lows = np.frombuffer(raw, "<i8", d).astype(np.int64)
        parents = np.frombuffer(raw, "<i2", MOST_PARENTS * d, 8 * d).reshape(MOST_PARENTS, d)
        widths, delta = np.frombuffer(raw, np.uint8, 2 * d, len(raw) - 2 * d).reshape(2, d)
        orders = [
            Order(tuple(column[column >= 0].tolist()), bool(is_delta))
            for column, is_delta in zip(parents.T, delta, strict=True)
        ]
        return cls(lows, widths, tuple(orders))


def _parents(orders: Sequence[Order]) -> set[int]:
    """Return the columns that are parents of others."""
    return {parent for order in orders for parent in order.parents}


def _differences(column: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return differences from the value before, and the first value itself.

    They wrap around, as does the sum that restores the values.
    """
    return np.diff(column, prepend=np.int64(0))


def _narrow(column: NDArray[np.int64]) -> tuple[Unsigned, np.int64]:
    """Return a column minus its smallest value, in the narrowest unsigned dtype, and that value."""
    low = column.min() if len(column) else np.int64(0)
    shifted = np.ascontiguousarray(column).view(np.uint64) - low.view(np.uint64)
    return shifted.astype(np.min_scalar_type(int(shifted.max(initial=0)))), low


def _width(values: Unsigned) -> int:
    """Return the number of bytes that holds each of the values."""
    return -(-int(values.max(initial=0)).bit_length() // 8)


def _pack(values: Unsigned, keys: Mapping[int, Unsigned], order: Order, width: int) -> bytes:
    """Return the byte planes of a column."""
    if width == 1 and not order.parents:  # in the order of the rows
        return values.astype(np.uint8, copy=False).tobytes()
    return b"".join(_planes(values, _row_order(keys, order, len(values)), width))


def _unpack(
    planes: NDArray[np.uint8], keys: Mapping[int, Unsigned], order: Order
) -> NDArray[np.uint8] | NDArray[np.int64]:
    """Return the column (n,) of byte planes (width, n)."""
    if len(planes) == 1 and not order.parents:
        return np.asarray(planes[0])
    return _from_planes(planes, _row_order(keys, order, planes.shape[1]))


def _row_order(keys: Mapping[int, Unsigned], order: Order, n: int) -> NDArray[np.intp]:
    """Return the order in which a column's rows are written."""
    rows = np.arange(n)
    for parent in reversed(order.parents):
        rows = rows[np.argsort(keys[parent][rows], kind="stable")]
    return rows


def _planes(values: Unsigned, rows: NDArray[np.intp], width: int) -> Iterator[bytes]:
    """Yield the byte planes of a column, the highest first, each in the order of those above."""
    highest = 8 * (width - 1)
    for shift in range(highest, -1, -8):
        above = rows
        if shift < highest:
            above = rows[np.argsort((values >> (shift + 8))[rows], kind="stable")]
        yield (values[above] >> shift).astype(np.uint8).tobytes()


def _from_planes(planes: NDArray[np.uint8], rows: NDArray[np.intp]) -> NDArray[np.int64]:
    values = np.zeros(len(rows), np.uint64)
    for index, plane in enumerate(planes):
        above = rows[np.argsort(values[rows], kind="stable")] if index else rows
        values <<= np.uint64(8)
        values[above] |= plane
    return values.view(np.int64)


def _groups(sizes: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return runs [first, last) of columns that share a stream."""
    cuts, held = [0], 0
    for index, size in enumerate(sizes):
        held += int(size)
        if held >= STREAM_BYTES or (held and index == len(sizes) - 1):
            cuts.append(index + 1)
            held = 0
    return list(pairwise(cuts))
