"""Input data of any of the formats that people have.

Rows as chunks of NumPy arrays, in source order, in bounded memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from storage.errors import NoDataError, SourceError
from storage.sources.source import (
    Chunk,
    RowsDigest,
    Schema,
    Shard,
    Source,
    check_schema,
    combine_digests,
    files_digest,
    plan_shards,
)

__all__ = [
    "Chunk",
    "RowsDigest",
    "Schema",
    "Shard",
    "Source",
    "check_schema",
    "combine_digests",
    "files_digest",
    "find_files",
    "open_source",
    "plan_shards",
]

HDF5 = (".h5", ".hdf5", ".hdf", ".he5", ".nc")
PARQUET = (".parquet", ".pq")
CSV = (".csv", ".tsv", ".txt")
KNOWN = (
    ".npy, .npz, .h5, .parquet, .csv, and IDX files (-ubyte, .idx), of which IDX alone also gzipped"
)


def open_source(
    path: Path | str,
    *,
    field: str = "",
    columns: Sequence[str] = (),
    id: str = "",
    missing: str = "error",
) -> Source:
    """Open the rows at `path`: a file, or a folder or glob of Parquet or CSV files.

    field: HDF5 dataset or NPZ member. columns: features of a table, all numeric ones where empty.
    id: the column that names a row.
    missing: "error" or "impute", which lets NaN pass.

    Raises NoDataError where nothing is there, SourceError or SchemaError where it cannot be used.
    """
    from storage.sources import arrays, tables  # late: h5py and pyarrow take time to import

    path = Path(path)
    files = find_files(path)
    if empty := [file for file in files if file.stat().st_size == 0]:
        raise SourceError(f"{empty[0]}: empty; expected a file with rows")
    kind = files[0].suffix.lower()
    if kind in (*PARQUET, *CSV):
        table = tables.ParquetSource if kind in PARQUET else tables.CsvSource
        return table(path, files, columns=columns, id=id, missing=missing)
    if len(files) > 1:
        raise SourceError(
            f"{path}: several files are read only of Parquet or CSV; name one of the {len(files)} files"
        )
    if columns or id:
        raise SourceError(
            f"{path}: data.columns and data.id name columns of Parquet or CSV files; leave them out for an array"
        )
    if kind in HDF5:
        return arrays.Hdf5Source(files[0], field=field, missing=missing)
    if kind == ".npz":
        return arrays.NpzSource(files[0], field=field, missing=missing)
    if kind == ".npy":
        return arrays.NpySource(files[0], missing=missing)
    if kind == ".idx" or "ubyte" in files[0].name or ".idx" in files[0].name:
        return arrays.IdxSource(files[0], missing=missing)
    raise SourceError(f"{path}: not a kind of file that is read; known are {KNOWN}")


def find_files(path: Path) -> list[Path]:
    """The files that `path` stands for, in order of name.

    Raises NoDataError where there are none, SourceError for those that cannot be read.
    """
    try:
        files = _files_at(path)
        for file in files:
            file.open("rb").close()
    except OSError as error:
        raise SourceError(
            f"{error.filename or path}: cannot be read ({error.strerror}); mend the path or its permissions"
        ) from error
    if not files:
        raise NoDataError(
            f"{path}: nothing there; expected a file, a folder of Parquet or CSV files, or a glob that matches some"
        )
    if len({file.suffix.lower() in PARQUET for file in files}) > 1:
        raise SourceError(
            f"{path}: holds both Parquet and CSV files; name one kind with a glob, as in '{path / '*.parquet'}'"
        )
    return files


def _files_at(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if path.is_dir():
        return sorted(
            each
            for each in path.rglob("*")
            if each.suffix.lower() in (*PARQUET, *CSV) and not each.name.startswith((".", "_"))
        )
    folder = next(each for each in path.parents if each.is_dir())
    return (
        sorted(folder.glob(str(path.relative_to(folder))))
        if any(mark in str(path) for mark in "*?[")
        else []
    )
