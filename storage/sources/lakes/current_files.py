"""Which of the files below a path are the current version of a Delta or Iceberg table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from storage.errors import NoDataError, SourceError
from storage.objects.paths import ObjectPath
from storage.sources.lakes.snapshots import (
    DELTA,
    ICEBERG,
    Snapshot,
    files_in,
    read_snapshot,
    real_path,
)

TABLE_LOGS = {"_delta_log": DELTA, ".hoodie": "Hudi"}  # folders in the root of a table


def current_files(path: Path, found: Sequence[Path]) -> tuple[list[Path], Snapshot | None]:
    """Return the files of the current version, and that version; all if no table has a log.

    A file that the log does not name was replaced, or is not yet part of the table. Raises
    SourceError, and NoDataError if no file is left.
    """
    roots = _table_roots(found)
    if not roots:
        return list(found), None
    root, table_format = roots[0]
    if len(roots) > 1 or table_format not in (DELTA, ICEBERG):
        named = " and ".join(f"{root} ({kind})" for root, kind in roots)
        raise SourceError(
            f"{path}: tables with a log of deleted and replaced rows: {named}; expected plain "
            "files, or one Delta or Iceberg table. Export the current rows to Parquet"
        )
    snapshot = read_snapshot(root, table_format)
    files = [file for file in found if real_path(file) in snapshot.files]
    _require_all(path, files, snapshot)
    return files, snapshot


def _require_all(path: Path, files: Sequence[Path], snapshot: Snapshot) -> None:
    """Raise errors unless the files below `path` are there, and at least one is."""
    real = {real_path(file) for file in files}
    folder = real_path(path)
    others = sorted({*snapshot.files} - real)
    if path.is_dir():
        lost = [each for each in others if folder in each.parents]
    else:  # a file, or a glob, which cannot tell whether it means a file that is gone
        lost = [each for each in others if not each.exists()]
    if lost:
        raise SourceError(
            f"{lost[0]}: not found, but version {snapshot.version} of the table {snapshot.root} "
            "has it; restore the file"
        )
    if not files:
        raise NoDataError(f"{path}: no file of the current version of {snapshot.root}")


def _table_roots(files: Sequence[Path]) -> list[tuple[Path, str]]:
    """Return the roots of the tables with a log to which files belong, and their formats."""
    return [(folder, kind) for folder in _folders_above(files) if (kind := _table_format(folder))]


def _folders_above(files: Sequence[Path]) -> list[Path]:
    """Return the folders that may be the root of a table; of objects, those above the first."""
    if isinstance(files[0], ObjectPath):
        return [folder for folder in files[0].parents if folder.parts[1:]]
    return sorted({parent for file in files for parent in file.absolute().parents})


def _table_format(folder: Path) -> str:
    """Return the format of the table whose root a folder is, or ''."""
    for log, kind in TABLE_LOGS.items():
        if _is_folder(folder / log):
            return kind
    metadata = folder / "metadata"
    named = (file.name for file in files_in(metadata))
    return ICEBERG if any(name.endswith(".metadata.json") for name in named) else ""


def _is_folder(path: Path) -> bool:
    if isinstance(path, ObjectPath):
        return path.is_dir()
    return os.path.isdir(path)  # noqa: PTH112 # Path.is_dir raises if access is denied
