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
from storage.sources.source import Schema

CHUNK_ROWS = 4_096
Pieces = Iterator[NDArray[np.generic]]


def write_decoded(path: Path, pieces: Pieces, schema: Schema, *, n_rows: int) -> None:
    """Write `n_rows` rows that come in `pieces` (n, *row_shape) to `path`.

    The suffix selects the format: .npy, .h5, .hdf5 or .parquet.
    """
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise WorkspaceError(f"{path}: the name must end in .npy, .h5 or .parquet")
    with write_beside(path) as beside:
        writer(beside, pieces, schema, n_rows)


def _write_npy(path: Path, pieces: Pieces, schema: Schema, n_rows: int) -> None:
    header = {
        "descr": npy.dtype_to_descr(np.dtype(schema.dtype)),
        "fortran_order": False,
        "shape": (n_rows, *schema.row_shape),
    }
    with path.open("wb") as file:
        npy.write_array_header_1_0(file, header)
        for rows in pieces:
            file.write(np.ascontiguousarray(rows).data)


def _write_hdf5(path: Path, pieces: Pieces, schema: Schema, n_rows: int) -> None:
    shape = (n_rows, *schema.row_shape)
    chunks = (min(CHUNK_ROWS, n_rows), *schema.row_shape)
    packed = {"chunks": chunks, "compression": "gzip", "fletcher32": True} if n_rows else {}
    with writing(path) as file:
        dataset = file.create_dataset("rows", shape, schema.dtype, **packed)
        start = 0
        for rows in pieces:
            dataset[start : start + len(rows)] = rows
            start += len(rows)


def _write_parquet(path: Path, pieces: Pieces, schema: Schema, n_rows: int) -> None:  # noqa: ARG001 (one signature for all)
    size = int(np.prod(schema.row_shape, dtype=np.int64))
    names = schema.columns or tuple(f"feature_{index}" for index in range(size))
    kind = pa.schema([(name, pa.from_numpy_dtype(np.dtype(schema.dtype))) for name in names])
    with pq.ParquetWriter(path, kind, compression="zstd", write_page_checksum=True) as writer:
        for rows in pieces:
            flat = rows.reshape(len(rows), size)
            columns = [np.ascontiguousarray(flat[:, index]) for index in range(size)]
            writer.write_table(pa.table(columns, schema=kind))


_WRITERS: dict[str, Callable[[Path, Pieces, Schema, int], None]] = {
    ".npy": _write_npy,
    ".h5": _write_hdf5,
    ".hdf5": _write_hdf5,
    ".parquet": _write_parquet,
}
