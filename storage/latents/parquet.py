"""The files of a shard as Parquet: zstd and a checksum on every page. Any Parquet reader works.

shard-00000.parquet    latent_0 … latent_{k-1}: codes
                       outside: the latents of this row that no code can hold, in order
                       exact: the original row, flat
                       gaps: of other rows with gaps, a bit for each value
rows-00000.parquet     error float32; id, if rows have ids
values-00000.parquet   rows, block: a block of values and its number of rows
                       (only in stores with an error bound)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from storage.latents.scale import Scale
from storage.latents.shard import Readable, Reader, ShardRows, reading

SUFFIX = ".parquet"
CODE_GROUP = 32_768  # reading one row unpacks its group; smaller groups take more bytes
# A byte plane of floats must be long, or it shares its Huffman table with noisy ones.
FLOAT_GROUP = 262_144
LEVEL = 12  # from here on zstd packs small dictionaries in half the bytes


def write_shard(path: Path, rows: ShardRows, scale: Scale) -> None:
    """Write the latents of a shard; the same rows give the same bytes."""
    n, k = rows.codes.shape
    names = [f"latent_{index}" for index in range(k)]
    columns = {
        name: pa.array(np.ascontiguousarray(column))
        for name, column in zip(names, rows.codes.T, strict=True)
    }
    if len(rows.outside_rows):
        columns["outside"] = _lists(n, rows.outside_rows, rows.outside_values)
    if len(rows.exact_rows):
        flat = rows.exact_values.reshape(len(rows.exact_rows), -1)
        columns["exact"] = _lists(n, np.repeat(rows.exact_rows, flat.shape[1]), flat.ravel())
    if len(rows.gap_rows):
        bits = rows.gap_bits
        columns["gaps"] = _lists(n, np.repeat(rows.gap_rows, bits.shape[1]), bits.ravel())
    if scale.coded:
        _write(path, columns, dictionary=names, split=[], group=CODE_GROUP)
    else:
        _write(path, columns, dictionary=[], split=names, group=FLOAT_GROUP)


def write_errors_and_ids(
    path: Path, errors: NDArray[np.float32], ids: NDArray[np.generic] | None
) -> None:
    """Write what belongs to the rows and decoding does not need."""
    columns = {"error": pa.array(errors)}
    if ids is not None:
        columns["id"] = pa.array(ids.tolist())
    _write(path, columns, dictionary=[], split=["error"], group=FLOAT_GROUP)


def write_values(path: Path, blocks: Sequence[bytes], rows: Sequence[int]) -> None:
    """Write the blocks of a shard, and the number of rows of each; one row group per block."""
    table = pa.table({"rows": pa.array(rows, pa.int64()), "block": pa.array(blocks, pa.binary())})
    pq.write_table(
        table,
        path,
        compression="none",
        use_dictionary=False,
        row_group_size=1,
        write_page_checksum=True,
        write_statistics=False,
        store_schema=False,
    )


class ShardReader(Reader):
    """Reads the latents of one shard; `file` is at `path` or in memory.

    The last row group stays in memory, because the next row is often near.
    """

    def __init__(self, path: Path, file: Readable, row_shape: Sequence[int], dtype: str) -> None:
        super().__init__(path, lambda: pq.ParquetFile(file, page_checksum_verification=True))
        with reading(path):
            names = self._file.schema_arrow.names
            listed = [name for name in ("outside", "exact", "gaps") if name in names]
            lists = self._file.read(columns=listed, use_threads=False)
            self._edges = _edges(self._file)
        self._names = [name for name in names if name.startswith("latent_")]
        self._beside = _kept_rows(lists, row_shape, dtype)
        self._kept: tuple[list[int], NDArray[np.generic]] = [], np.empty(0, np.int8)

    def read(self, start: int, stop: int) -> ShardRows:
        """Return the rows [start, stop), counted inside the shard."""
        groups, first = _groups(self._edges, start, stop)
        return self._beside.around(self._codes(groups)[start - first : stop - first], start, stop)

    def _codes(self, groups: list[int]) -> NDArray[np.generic]:
        if self._kept[0] == groups:
            return self._kept[1]
        with reading(self._path):
            table = self._file.read_row_groups(groups, columns=self._names, use_threads=False)
        codes = np.stack([column.to_numpy() for column in table.columns], axis=1)
        if len(groups) == 1:
            self._kept = groups, codes
        return codes


class ValuesReader(Reader):
    """Reads the blocks of one shard; `file` is at `path` or in memory."""

    def __init__(self, path: Path, file: Readable) -> None:
        super().__init__(path, lambda: pq.ParquetFile(file, page_checksum_verification=True))
        with reading(path):
            self.rows: list[int] = self._file.read(columns=["rows"]).column("rows").to_pylist()

    def block(self, index: int) -> bytes:
        """Return one block."""
        with reading(self._path):
            table = self._file.read_row_group(index, columns=["block"], use_threads=False)
        return bytes(table.column("block")[0].as_py())


def read_errors_and_ids(
    path: Path, file: Readable, start: int, stop: int
) -> tuple[NDArray[np.float32], NDArray[np.generic] | None]:
    """Return the errors and ids of the rows [start, stop). Raises DamagedError."""
    with reading(path), pq.ParquetFile(file, page_checksum_verification=True) as opened:
        groups, first = _groups(_edges(opened), start, stop)
        whole = opened.read_row_groups(groups, use_threads=False)
        table = whole.slice(start - first, stop - start).combine_chunks()
    ids = _ids(table.column("id")) if "id" in table.column_names else None
    return table.column("error").to_numpy(), ids


def _write(
    path: Path,
    columns: dict[str, pa.Array],
    *,
    dictionary: list[str],
    split: list[str],
    group: int,
) -> None:
    fields = [
        pa.field(name, column.type, nullable=bool(column.null_count))
        for name, column in columns.items()
    ]
    pq.write_table(
        pa.table(columns, schema=pa.schema(fields)),
        path,
        compression="zstd",
        compression_level=LEVEL,
        use_dictionary=dictionary or False,
        column_encoding=dict.fromkeys(split, "BYTE_STREAM_SPLIT"),
        row_group_size=group,
        max_rows_per_page=FLOAT_GROUP,
        write_page_checksum=True,
        write_statistics=False,
        store_schema=False,
    )


def _kept_rows(lists: pa.Table, row_shape: Sequence[int], dtype: str) -> ShardRows:
    """Return what a shard keeps besides codes: latents that no code can hold, and exact rows."""
    outside_rows, outside = _unlist(lists, "outside")
    rows, values = _unlist(lists, "exact")
    size = int(np.prod(row_shape, dtype=np.int64))
    exact_rows = rows[::size]
    exact = values.astype(dtype, copy=False).reshape(-1, *row_shape)
    floats = outside.astype(np.float32, copy=False)
    kept = ShardRows(np.empty(0, np.int8), outside_rows, floats, exact_rows, exact)
    if "gaps" not in lists.column_names:
        return kept
    gap_rows, bits = _unlist(lists, "gaps")
    width = -(-size // 8)
    return replace(
        kept, gap_rows=gap_rows[::width], gap_bits=np.asarray(bits, np.uint8).reshape(-1, width)
    )


def _edges(file: pq.ParquetFile) -> NDArray[np.int64]:
    """Return the first row of each row group, then the number of all rows."""
    sizes = [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]
    return np.cumsum([0, *sizes])


def _groups(edges: NDArray[np.int64], start: int, stop: int) -> tuple[list[int], int]:
    """Return the row groups with rows of [start, stop), and the first row of the first group."""
    groups = np.flatnonzero((edges[:-1] < stop) & (edges[1:] > start)).tolist()
    return groups, int(edges[groups[0]]) if groups else start


def _lists(n: int, rows: NDArray[np.int64], values: NDArray[np.generic]) -> pa.ListArray:
    """Return a list column of n rows: the values of each row in order, null if it has none."""
    counts = np.bincount(rows, minlength=n)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values), mask=pa.array(counts == 0))


def _unlist(table: pa.Table, name: str) -> tuple[NDArray[np.int64], NDArray[np.generic]]:
    """Return the row of each value, and the values, of a list column."""
    if name not in table.column_names:
        return np.empty(0, np.int64), np.empty(0)
    lists = table.column(name).combine_chunks()
    counts = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    values = lists.flatten().to_numpy(zero_copy_only=False)
    return np.repeat(np.arange(len(counts)), counts), values


def _ids(column: pa.ChunkedArray) -> NDArray[np.generic]:
    if pa.types.is_integer(column.type):
        return np.asarray(column.to_numpy())
    return np.array(column.to_pylist(), dtype=object)
