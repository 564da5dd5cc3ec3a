"""The files of a shard as Parquet: zstd and a checksum on every page, so that any Parquet reader reads them.

shard-00000.parquet    latent_0 … latent_{k-1}: codes
                       outside: the latents of this row that no code can hold, in order       exact: the row as it is in the source, flat
rows-00000.parquet     error float32, id where rows have ids
values-00000.parquet   rows, block: a block of values and how many rows it holds              (stores with an error bound only)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from storage.latents.scale import Scale
from storage.latents.shard import Reader, ShardRows, reading

SUFFIX = ".parquet"
CODE_GROUP = 32_768  # a single row costs unpacking its group; smaller ones take more bytes
FLOAT_GROUP = (
    262_144  # a byte plane of floats must be long, or it shares its Huffman table with noisy ones
)
LEVEL = 12  # from here on zstd packs small dictionaries in half the bytes


def write_shard(path: Path, rows: ShardRows, scale: Scale) -> None:
    """Write latents and what belongs to them; the same rows give the same bytes."""
    names = [f"latent_{index}" for index in range(rows.codes.shape[1])]
    columns: dict[str, Any] = {
        name: pa.array(np.ascontiguousarray(rows.codes[:, index]))
        for index, name in enumerate(names)
    }
    n = len(rows.codes)
    if len(rows.outside_rows):
        columns["outside"] = _lists(n, rows.outside_rows, rows.outside_values)
    if len(rows.exact_rows):
        flat = rows.exact_values.reshape(len(rows.exact_rows), -1)
        columns["exact"] = _lists(n, np.repeat(rows.exact_rows, flat.shape[1]), flat.ravel())
    coded = scale.coded
    _write(
        path,
        columns,
        dictionary=names if coded else [],
        split=[] if coded else names,
        group=CODE_GROUP if coded else FLOAT_GROUP,
    )


def write_rows(path: Path, errors: NDArray[np.float32], ids: NDArray[Any] | None) -> None:
    """Write what stands beside the rows and decoding does not need."""
    columns = {"error": pa.array(errors)} | ({} if ids is None else {"id": pa.array(ids.tolist())})
    _write(path, columns, dictionary=[], split=["error"], group=FLOAT_GROUP)


def write_values(path: Path, blocks: Sequence[bytes], rows: Sequence[int]) -> None:
    """Write the blocks of a shard, and how many rows each holds; one row group a block."""
    table = pa.table({"rows": pa.array(rows, pa.int64()), "block": pa.array(blocks, pa.binary())})
    pq.write_table(
        table, path, compression="none", use_dictionary=False, row_group_size=1, write_page_checksum=True, write_statistics=False, store_schema=False
    )  # fmt: skip


class ShardReader(Reader):
    """Latents of one shard, its `file` at `path` or in memory.

    The row group read last is kept, since who reads a row often reads its neighbours.
    """

    def __init__(self, path: Path, file: Any, row_shape: Sequence[int], dtype: str) -> None:
        super().__init__(path, lambda: pq.ParquetFile(file, page_checksum_verification=True))
        with reading(path):
            names = self._file.schema_arrow.names
            self._names = [name for name in names if name.startswith("latent_")]
            beside = self._file.read(
                columns=[name for name in ("outside", "exact") if name in names], use_threads=False
            )
            self._edges = _edges(self._file)
        outside = _unlist(beside, "outside", np.dtype(np.float32))
        rows, values = _unlist(beside, "exact", np.dtype(dtype))
        exact = rows[:: int(np.prod(row_shape, dtype=np.int64))], values.reshape(-1, *row_shape)
        self._beside = ShardRows(np.empty(0, np.int8), *outside, *exact)
        self._kept: tuple[list[int], NDArray[Any]] = [], np.empty(0, np.int8)

    def read(self, start: int, stop: int) -> ShardRows:
        """The rows from `start` up to `stop`, counted inside the shard."""
        groups, first = _groups(self._edges, start, stop)
        return self._beside.around(self._codes(groups)[start - first : stop - first], start, stop)

    def _codes(self, groups: list[int]) -> NDArray[Any]:
        if self._kept[0] == groups:
            return self._kept[1]
        with reading(self._path):
            table = self._file.read_row_groups(groups, columns=self._names, use_threads=False)
        codes = np.stack([column.to_numpy() for column in table.columns], axis=1)
        if len(groups) == 1:
            self._kept = groups, codes
        return codes


class ValuesReader(Reader):
    """The blocks of one shard; `file` is at `path` or in memory."""

    def __init__(self, path: Path, file: Any) -> None:
        super().__init__(path, lambda: pq.ParquetFile(file, page_checksum_verification=True))
        with reading(path):
            self.rows: list[int] = self._file.read(columns=["rows"]).column("rows").to_pylist()

    def block(self, index: int) -> bytes:
        """One block."""
        with reading(self._path):
            return bytes(
                self._file.read_row_group(index, columns=["block"], use_threads=False)
                .column("block")[0]
                .as_py()
            )


def read_rows(
    path: Path, file: Any, start: int, stop: int
) -> tuple[NDArray[np.float32], NDArray[Any] | None]:
    """Errors and ids of the rows from `start` up to `stop`. Raises DamagedError."""
    with reading(path), pq.ParquetFile(file, page_checksum_verification=True) as opened:
        groups, first = _groups(_edges(opened), start, stop)
        table = (
            opened.read_row_groups(groups, use_threads=False)
            .slice(start - first, stop - start)
            .combine_chunks()
        )
    return table.column("error").to_numpy(), _ids(
        table.column("id")
    ) if "id" in table.column_names else None


def _write(
    path: Path, columns: dict[str, Any], *, dictionary: list[str], split: list[str], group: int
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


def _edges(file: Any) -> NDArray[np.int64]:
    """The first row of each row group, and the number of all rows."""
    return np.cumsum(
        [0] + [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]
    )


def _groups(edges: NDArray[np.int64], start: int, stop: int) -> tuple[list[int], int]:
    """The row groups that hold rows of [start, stop), and the first row of the first of them."""
    groups = np.flatnonzero((edges[:-1] < stop) & (edges[1:] > start)).tolist()
    return groups, int(edges[groups[0]]) if groups else start


def _lists(n: int, rows: NDArray[np.int64], values: NDArray[Any]) -> Any:
    """A list column of n rows: the values of each row in order, null for rows without any."""
    counts = np.bincount(rows, minlength=n)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values), mask=pa.array(counts == 0))


def _unlist(table: Any, name: str, dtype: np.dtype[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The row of each value, and the values, of a list column."""
    if name not in table.column_names:
        return np.empty(0, np.int64), np.empty(0, dtype)
    lists = table.column(name).combine_chunks()
    counts = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.repeat(np.arange(len(counts)), counts), lists.flatten().to_numpy(
        zero_copy_only=False
    ).astype(dtype, copy=False)


def _ids(column: Any) -> NDArray[Any]:
    return (
        np.asarray(column.to_numpy())
        if pa.types.is_integer(column.type)
        else np.array(column.to_pylist(), dtype=object)
    )
