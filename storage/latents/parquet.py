"""A shard as a Parquet file: one column a latent, zstd, a checksum on every page, so that any Parquet reader reads it.

latent_0 … latent_{k-1}   codes        error   float32         id   where rows have ids
outside                   the latents of this row that no code can hold, in order; null where there are none
exact                     the row as it is in the source, flat; null where it is not kept
"""

from __future__ import annotations

from collections.abc import Sequence
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


def write_shard(path: Path, rows: ShardRows, scale: Scale) -> None:
    """Write a shard to `path`; the same rows give the same bytes."""
    names = [f"latent_{index}" for index in range(rows.codes.shape[1])]
    columns: dict[str, Any] = {name: pa.array(np.ascontiguousarray(rows.codes[:, index])) for index, name in enumerate(names)}
    columns["error"] = pa.array(rows.errors)
    if rows.ids is not None:
        columns["id"] = pa.array(rows.ids.tolist())
    n = len(rows.codes)
    if len(rows.outside_rows):
        columns["outside"] = _lists(n, rows.outside_rows, rows.outside_values)
    if len(rows.exact_rows):
        flat = rows.exact_values.reshape(len(rows.exact_rows), -1)
        columns["exact"] = _lists(n, np.repeat(rows.exact_rows, flat.shape[1]), flat.ravel())
    coded = scale.precision == "int8"
    floats = ["error"] if coded else [*names, "error"]
    pq.write_table(
        pa.table(columns),
        path,
        compression="zstd",
        use_dictionary=names if coded else False,
        column_encoding=dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
        row_group_size=CODE_GROUP if coded else FLOAT_GROUP,
        max_rows_per_page=FLOAT_GROUP,
        write_page_checksum=True,
        write_statistics=False,
        store_schema=False,
    )


def read_shard(path: Path, row_shape: Sequence[int], dtype: str, start: int, stop: int) -> ShardRows:
    """Read the rows from `start` up to `stop`, counted inside the shard. Raises DamagedError."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            groups, first = _groups(file, start, stop)
            table = file.read_row_groups(groups, use_threads=False).slice(start - first, stop - start).combine_chunks()
    except (OSError, pa.ArrowInvalid) as error:
        raise DamagedError(f"{path}: cannot be read ({error}); run verify on the store, then delete the store and encode again") from error
    names = [name for name in table.column_names if name.startswith("latent_")]
    codes = np.stack([table.column(name).to_numpy() for name in names], axis=1) if names else np.empty((0, 0), np.int8)
    outside_rows, outside_values = _unlist(table, "outside", np.dtype(np.float32))
    flat_rows, flat_values = _unlist(table, "exact", np.dtype(dtype))
    size = int(np.prod(row_shape, dtype=np.int64))
    return ShardRows(
        codes,
        table.column("error").to_numpy(),
        _ids(table.column("id")) if "id" in table.column_names else None,
        outside_rows,
        outside_values,
        flat_rows[::size],
        flat_values.reshape(-1, *row_shape),
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
