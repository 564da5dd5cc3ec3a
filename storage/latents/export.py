"""Decoded rows as NPY, HDF5 or Parquet, written chunk by chunk, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib import format as npy
from numpy.typing import NDArray

from storage.errors import WorkspaceError
from storage.files.atomic import write_beside
from storage.latents.hdf5 import writing
from storage.sources.columns.schema import Schema, StoredColumns

MOST_ROWS = 4_096  # of a chunk
CHUNK_BYTES = 4 << 20  # HDF5 packs and unpacks a chunk as a whole
Pieces = Iterator[NDArray[np.generic]]
TablePieces = Iterator[tuple[NDArray[np.generic], pa.Table]]


def write_decoded(path: Path, pieces: Pieces, schema: Schema, *, n_rows: int) -> None:
    """Write `n_rows` rows that come in `pieces` (n, *row_shape) to `path`.

    The suffix selects the format: .npy, .h5, .hdf5 or .parquet.
    """
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise WorkspaceError(f"{path}: the name must end in .npy, .h5 or .parquet")
    with write_beside(path) as beside:
        writer(beside, pieces, schema, n_rows)


def write_decoded_table(path: Path, pieces: TablePieces, columns: StoredColumns) -> None:
    """Write values (n, m) and exact columns, which come in `pieces`, to a Parquet file."""
    if path.suffix.lower() != ".parquet" or columns.exact is None:
        raise WorkspaceError(
            f"{path}: the store holds columns that are no numbers; the name must end in .parquet"
        )
    values = _parquet_schema(columns.values)
    fields = {field.name: field for field in [*values, *columns.exact]}
    schema = pa.schema([fields[name] for name in columns.names])
    with write_beside(path) as beside, _parquet_writer(beside, schema) as writer:
        for rows, exact in pieces:
            arrays = dict(zip(values.names, _columns(rows, values), strict=True))
            found = {**arrays, **dict(zip(exact.column_names, exact.columns, strict=True))}
            writer.write_table(pa.table([found[name] for name in schema.names], schema=schema))


def _write_npy(path: Path, pieces: Pieces, schema: Schema, n_rows: int) -> None:
    header = {
        "descr": npy.dtype_to_descr(np.dtype(schema.array_dtype)),
        "fortran_order": False,
        "shape": schema.array_shape(n_rows),
    }
    with path.open("wb") as file:
        npy.write_array_header_1_0(file, header)
        for rows in pieces:
            file.write(np.ascontiguousarray(rows, schema.array_dtype).data)


def _write_hdf5(path: Path, pieces: Pieces, schema: Schema, n_rows: int) -> None:
    shape = schema.array_shape(n_rows)
    chunks = (min(chunk_rows(schema.row_bytes), n_rows), *shape[1:])
    packed = {"chunks": chunks, "compression": "gzip", "fletcher32": True} if n_rows else {}
    with writing(path) as file:
        dataset = file.create_dataset("rows", shape, schema.array_dtype, **packed)
        start = 0
        for rows in pieces:
            dataset[start : start + len(rows)] = rows.reshape(len(rows), *shape[1:])
            start += len(rows)


def chunk_rows(row_bytes: int) -> int:
    """Return the rows of a chunk: a power of two, so that larger pieces hold whole chunks."""
    rows = min(MOST_ROWS, max(1, CHUNK_BYTES // row_bytes))
    return 1 << (rows.bit_length() - 1)


def _write_parquet(path: Path, pieces: Pieces, schema: Schema, n_rows: int) -> None:  # noqa: ARG001 (one signature for all)
    kind = _parquet_schema(schema)
    with _parquet_writer(path, kind) as writer:
        for rows in pieces:
            writer.write_table(pa.table(_columns(rows, kind), schema=kind))


def _parquet_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True)


def _columns(rows: NDArray[np.generic], schema: pa.Schema) -> list[pa.Array]:
    columns = rows.reshape(len(rows), len(schema)).T
    return [_column(*pair) for pair in zip(columns, schema.types, strict=True)]


def _parquet_schema(schema: Schema) -> pa.Schema:
    size = int(np.prod(schema.row_shape, dtype=np.int64))
    names = schema.columns or tuple(f"feature_{index}" for index in range(size))
    types = schema.types if schema.columns and schema.types else (schema.array_dtype,) * size
    kinds = [pa.from_numpy_dtype(np.dtype(name)) for name in types]
    return pa.schema(list(zip(names, kinds, strict=True)))


def _column(values: NDArray[np.generic], kind: pa.DataType) -> pa.Array:
    """Return a column in its own type; a gap among whole numbers is a null."""
    if values.dtype.kind != "f" or pa.types.is_floating(kind):
        return pa.array(values.astype(kind.to_pandas_dtype()))
    gaps = np.isnan(values)
    return pa.array(np.where(gaps, 0, values).astype(kind.to_pandas_dtype()), mask=gaps)


_WRITERS: dict[str, Callable[[Path, Pieces, Schema, int], None]] = {
    ".npy": _write_npy,
    ".h5": _write_hdf5,
    ".hdf5": _write_hdf5,
    ".parquet": _write_parquet,
}
