"""The files of a shard as Parquet: zstd and a checksum on every page, so that any Parquet reader reads them.

shard-00000.parquet    latent_0 … latent_{k-1}: codes
                       outside: the latents of this row that no code can hold, in order       exact: the row as it is in the source, flat
rows-00000.parquet     error float32, id where rows have ids
values-00000.parquet   rows, block: a block of values and how many rows it holds              (stores with an error bound only)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from storage.errors import DamagedError
from storage.latents.quantise import Scale
from storage.latents.shard import ShardRows

SUFFIX = ".parquet"
CODE_GROUP = 65_536
FLOAT_GROUP = 262_144  # a byte plane of floats must be long, or it shares its Huffman table with noisy ones
LEVEL = 9


def write_shard(path: Path, rows: ShardRows, scale: Scale) -> None:
    """Write latents and what belongs to them; the same rows give the same bytes."""
    names = [f"latent_{index}" for index in range(rows.codes.shape[1])]
    columns: dict[str, Any] = {name: pa.array(np.ascontiguousarray(rows.codes[:, index])) for index, name in enumerate(names)}
    n = len(rows.codes)
    if len(rows.outside_rows):
        columns["outside"] = _lists(n, rows.outside_rows, rows.outside_values)
    if len(rows.exact_rows):
        flat = rows.exact_values.reshape(len(rows.exact_rows), -1)
        columns["exact"] = _lists(n, np.repeat(rows.exact_rows, flat.shape[1]), flat.ravel())
    coded = scale.coded
    _write(path, columns, dictionary=names if coded else [], split=[] if coded else names, group=CODE_GROUP if coded else FLOAT_GROUP)


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


class ShardReader:
    """Latents of one shard; `file`, at `path` or in memory, stays open. Raises DamagedError."""

    def __init__(self, path: Path, file: Any, row_shape: Sequence[int], dtype: str) -> None:
        self._path, self._row_shape, self._dtype = path, tuple(row_shape), np.dtype(dtype)
        with _damage(path):
            self._file = pq.ParquetFile(file, page_checksum_verification=True)
            names = self._file.schema_arrow.names
            self._latents = [name for name in names if name.startswith("latent_")]
            beside = self._file.read(columns=[name for name in ("outside", "exact") if name in names], use_threads=False)
        self._outside, self._outside_values = _unlist(beside, "outside", np.dtype(np.float32))
        flat_rows, flat_values = _unlist(beside, "exact", self._dtype)
        self._exact = flat_rows[:: int(np.prod(self._row_shape, dtype=np.int64))]
        self._exact_values = flat_values.reshape(-1, *self._row_shape)

    def read(self, start: int, stop: int) -> ShardRows:
        """The rows from `start` up to `stop`, counted inside the shard."""
        with _damage(self._path):
            groups, first = _groups(self._file, start, stop)
            table = self._file.read_row_groups(groups, columns=self._latents, use_threads=False).slice(start - first, stop - start)
        codes = np.stack([column.to_numpy() for column in table.columns], axis=1) if self._latents else np.empty((0, 0), np.int8)
        outside = slice(*np.searchsorted(self._outside, (start, stop)))
        exact = slice(*np.searchsorted(self._exact, (start, stop)))
        return ShardRows(
            codes, self._outside[outside] - start, self._outside_values[outside], self._exact[exact] - start, self._exact_values[exact]
        )

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class ValuesReader:
    """The blocks of one shard; `file`, at `path` or in memory, stays open. Raises DamagedError."""

    def __init__(self, path: Path, file: Any) -> None:
        self._path = path
        with _damage(path):
            self._file = pq.ParquetFile(file, page_checksum_verification=True)
            self.rows: list[int] = self._file.read(columns=["rows"]).column("rows").to_pylist()

    def block(self, index: int) -> bytes:
        """One block."""
        with _damage(self._path):
            return bytes(self._file.read_row_group(index, columns=["block"], use_threads=False).column("block")[0].as_py())

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def read_rows(path: Path, file: Any, start: int, stop: int) -> tuple[NDArray[np.float32], NDArray[Any] | None]:
    """Errors and ids of the rows from `start` up to `stop`. Raises DamagedError."""
    with _damage(path), pq.ParquetFile(file, page_checksum_verification=True) as opened:
        groups, first = _groups(opened, start, stop)
        table = opened.read_row_groups(groups, use_threads=False).slice(start - first, stop - start).combine_chunks()
    return table.column("error").to_numpy(), _ids(table.column("id")) if "id" in table.column_names else None


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Turn what a damaged file raises into DamagedError."""
    try:
        yield
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise DamagedError(f"{path}: cannot be read ({error}); run verify on the store, then delete the store and encode again") from error


def _write(path: Path, columns: dict[str, Any], *, dictionary: list[str], split: list[str], group: int) -> None:
    pq.write_table(
        pa.table(columns),
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


def _groups(file: Any, start: int, stop: int) -> tuple[list[int], int]:
    """The row groups that hold rows of [start, stop), and the first row of the first of them."""
    edges = np.cumsum([0] + [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)])
    groups = [index for index in range(file.num_row_groups) if edges[index] < stop and edges[index + 1] > start]
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
    return np.repeat(np.arange(len(counts)), counts), lists.flatten().to_numpy(zero_copy_only=False).astype(dtype, copy=False)


def _ids(column: Any) -> NDArray[Any]:
    return np.asarray(column.to_numpy()) if pa.types.is_integer(column.type) else np.array(column.to_pylist(), dtype=object)
