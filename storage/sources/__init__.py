"""Input data in the usual formats, read as chunks of rows.

Rows arrive as NumPy arrays, in source order and in bounded memory.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from storage.errors import NoDataError, SourceError
from storage.sources.digests import RowsDigest, combine_digests, files_digest
from storage.sources.source import (
    Chunk,
    Schema,
    Shard,
    Source,
    check_schema,
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

SCHEME = r"[A-Za-z][A-Za-z0-9+.-]+:"  # of a URI; a single letter is a drive
HDF5 = (".h5", ".hdf5", ".hdf", ".he5", ".nc")
PARQUET = (".parquet", ".pq")
CSV = (".csv", ".tsv", ".txt")
SUPPORTED = ".npy, .npz, .h5, .parquet, .csv and IDX (-ubyte, .idx, optionally gzipped)"


def open_source(
    path: Path | str,
    *,
    field: str = "",
    columns: Sequence[str] = (),
    id: str = "",
    missing: str = "error",
) -> Source:
    """Open the rows at `path`: a file, or a folder or glob of Parquet or CSV files.

    field: HDF5 dataset or NPZ member.
    columns: features of a table; empty for all numeric columns.
    id: column that identifies a row of a table.
    missing: "error", or "impute" to let NaN pass.

    Raises NoDataError if no file is found, SourceError or SchemaError if the files cannot be used.
    """
    path = Path(path)
    files = find_files(path)
    _require_content(files)
    if _is_table(files[0]):
        return _open_table(path, files, columns=columns, id=id, missing=missing)
    if len(files) > 1:
        raise SourceError(
            f"{path}: several files must be Parquet or CSV; name one of the {len(files)} files"
        )
    if columns or id:
        raise SourceError(
            f"{path}: data.columns and data.id apply to Parquet and CSV files only; "
            "remove them for an array"
        )
    return _open_array(files[0], field=field, missing=missing)


def _require_content(files: Sequence[Path]) -> None:
    for file in files:
        if file.stat().st_size == 0:
            raise SourceError(f"{file}: empty; expected a file with rows")


def _is_table(file: Path) -> bool:
    return file.suffix.lower() in (*PARQUET, *CSV)


def _is_parquet(file: Path) -> bool:
    return file.suffix.lower() in PARQUET


def _open_table(
    path: Path, files: Sequence[Path], *, columns: Sequence[str], id: str, missing: str
) -> Source:
    if _is_parquet(files[0]):
        from storage.sources.parquet_tables import ParquetSource  # late: pyarrow is slow to import

        return ParquetSource(path, files, columns=columns, id=id, missing=missing)

    from storage.sources.csv_tables import CsvSource  # late: pyarrow is slow to import

    return CsvSource(path, files, columns=columns, id=id, missing=missing)


def _open_array(file: Path, *, field: str, missing: str) -> Source:
    from storage.sources import arrays  # late: h5py is slow to import

    kind = file.suffix.lower()
    if kind in HDF5:
        return arrays.Hdf5Source(file, field=field, missing=missing)
    if kind == ".npz":
        return arrays.NpzSource(file, field=field, missing=missing)
    if kind == ".npy":
        return arrays.NpySource(file, missing=missing)
    if kind == ".idx" or "ubyte" in file.name or ".idx" in file.name:
        return arrays.IdxSource(file, missing=missing)
    raise SourceError(f"{file}: unsupported file type; supported: {SUPPORTED}")


def find_files(path: Path) -> list[Path]:
    """Return the files that `path` names, sorted by name.

    Raises NoDataError if no file is found, SourceError if one cannot be read or Parquet and CSV
    are mixed.
    """
    files = _readable_files(path)
    if not files:
        _require_local(path)
        raise NoDataError(
            f"{path}: no files found; "
            "expected a file, a folder of Parquet or CSV files, or a glob that matches some"
        )
    if len({_is_parquet(file) for file in files}) > 1:
        raise SourceError(
            f"{path}: contains both Parquet and CSV files; "
            f"select one kind with a glob such as '{path / '*.parquet'}'"
        )
    return files


def _require_local(path: Path) -> None:
    """Raise SourceError if a path was written as a URI, of which it has lost a slash."""
    for index, part in enumerate(path.parts):
        if re.fullmatch(SCHEME, part):
            uri = f"{part}//{'/'.join(path.parts[index + 1 :])}"
            raise SourceError(
                f"{uri}: URIs cannot be read; copy the files to a disk and give their path"
            )


def _readable_files(path: Path) -> list[Path]:
    try:
        files = _files_at(path)
        for file in files:
            file.open("rb").close()
    except OSError as error:
        raise SourceError(
            f"{error.filename or path}: cannot be read ({error.strerror}); "
            "fix the path or its permissions"
        ) from error
    return files


def _files_at(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if _is_table(file) and not _is_hidden(file))
    if not any(mark in str(path) for mark in "*?["):
        return []
    folder = next(each for each in path.parents if each.is_dir())
    return sorted(folder.glob(str(path.relative_to(folder))))


def _is_hidden(file: Path) -> bool:
    return file.name.startswith((".", "_"))
