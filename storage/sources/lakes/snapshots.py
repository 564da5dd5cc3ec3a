"""The current version of a Delta or Iceberg table, as its log tells it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.errors import SourceError
from storage.files.reads import unreadable
from storage.objects.lake_access import delta_options, iceberg_properties
from storage.objects.paths import ObjectPath, located

if TYPE_CHECKING:
    import pyarrow as pa

DELTA, ICEBERG = "Delta", "Iceberg"
COLUMN_MAPPING = "delta.columnMapping.mode"
METADATA = re.compile(r"v?(\d+)(-.*)?(\.gz)?\.metadata\.json")
HADOOP = re.compile("^s3[an]:")  # what Hadoop calls the same service
READ_ERRORS = (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError)
Partition = Mapping[str, str | None]


@dataclass(frozen=True)
class Snapshot:
    """One version of a table.

    files: the Parquet files that hold its rows, by their real paths, with the values of their
    partition columns as text. ids: the number of each column, which Iceberg keeps when a column is
    renamed.
    """

    format: str
    root: Path
    version: str
    schema: pa.Schema
    files: Mapping[Path, Partition]
    ids: Mapping[str, int] = field(default_factory=dict)


def read_snapshot(root: Path, table_format: str) -> Snapshot:
    """Read the current version of the table at `root`. Raises SourceError."""
    return _read_delta(root) if table_format == DELTA else _read_iceberg(root)


def _read_delta(root: Path) -> Snapshot:
    with _library(root, DELTA, "deltalake"):
        from deltalake import DeltaTable  # late: an extra
        from deltalake.exceptions import DeltaError
    import pyarrow.dataset as pa_dataset  # late: pyarrow is slow to import

    with _reading(root, DeltaError):
        table = DeltaTable(str(root), storage_options=delta_options(root) or None)
        dataset = table.to_pyarrow_dataset()  # refuses tables that need more than it can do
        if table.metadata().configuration.get(COLUMN_MAPPING, "none") != "none":
            raise SourceError(f"{root}: Delta table with {COLUMN_MAPPING}; export it to Parquet")
        files = {
            real_path(root / fragment.path): _texts(
                pa_dataset.get_partition_keys(fragment.partition_expression)
            )
            for fragment in dataset.get_fragments()
        }
        return Snapshot(DELTA, root, str(table.version()), dataset.schema, files)


def _read_iceberg(root: Path) -> Snapshot:
    with _library(root, ICEBERG, "pyiceberg"):
        from pyiceberg.exceptions import ValidationError  # late: an extra
        from pyiceberg.table import StaticTable

    with _reading(root, ValidationError):
        table = StaticTable.from_metadata(str(_newest_metadata(root)), iceberg_properties(root))
        files = {}
        for task in table.scan().plan_files():
            if task.delete_files:
                raise SourceError(
                    f"{root}: Iceberg table with deleted rows beside its data files; rewrite these "
                    "(in Spark with rewrite_data_files)"
                )
            if task.file.file_format != "PARQUET":
                raise SourceError(f"{root}: {task.file.file_format} files; expected Parquet")
            files[_data_file(task.file.file_path, root)] = _identities(table, task.file)
        schema = table.schema()
        shared = set.intersection(*map(set, files.values())) if files else set()
        files = {file: {name: each[name] for name in shared} for file, each in files.items()}
        ids = {each.name: each.field_id for each in schema.fields}
        snapshot = table.current_snapshot()
        version = str(snapshot.snapshot_id) if snapshot else "none"
        return Snapshot(ICEBERG, root, version, schema.as_arrow(), files, ids)


def _newest_metadata(root: Path) -> Path:
    """Return the metadata file of the highest version. Raises SourceError if two have it."""
    found = [
        (int(match[1]), file)
        for file in sorted(files_in(root / "metadata"))
        if (match := METADATA.fullmatch(file.name))
    ]
    newest = max(number for number, _ in found)
    files = [file for number, file in found if number == newest]
    if len(files) > 1:
        named = ", ".join(file.name for file in files)
        raise SourceError(
            f"{root}: several metadata files of version {newest}: {named}; remove those that its "
            "catalog does not name"
        )
    return files[0]


def _identities(table: Any, file: Any) -> Partition:
    """Return the values of the columns by which files are partitioned as they are."""
    spec = table.specs()[file.spec_id]
    values = {}
    for place, each in enumerate(spec.fields):
        name, value = table.schema().find_column_name(each.source_id), file.partition[place]
        if name and str(each.transform) == "identity":
            kind = table.schema().find_type(each.source_id)
            values[name] = None if value is None else each.transform.to_human_string(kind, value)
    return _texts(values)


def _texts(values: Mapping[str, object]) -> Partition:
    return {name: None if value is None else _text(value) for name, value in values.items()}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def files_in(folder: Path) -> Iterator[Path]:
    """Yield what lies directly in a folder, or the objects directly below a prefix."""
    if isinstance(folder, ObjectPath):
        return (file for file in folder.objects() if file.parent == folder)
    return folder.glob("*")


def real_path(path: Path) -> Path:
    """Return a path without links; objects have none."""
    return path if isinstance(path, ObjectPath) else Path(os.path.realpath(path))


def _data_file(uri: str, root: Path) -> Path:
    """Return the real path of a data file; Iceberg escapes nothing in its URIs."""
    endpoint = root.endpoint if isinstance(root, ObjectPath) else ""
    path = HADOOP.sub("s3:", re.sub("^file:(//)?", "", uri))
    return real_path(located(path, endpoint=endpoint))


@contextmanager
def _library(root: Path, table_format: str, extra: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise SourceError(
            f"{root}: {table_format} table; reading its current rows needs the extra '{extra}': "
            f"run pip install 'nightglass[{extra}]', or export the rows to Parquet"
        ) from error


@contextmanager
def _reading(root: Path, *errors: type[Exception]) -> Iterator[None]:
    """Turn what a library raises for a log into a SourceError; `errors` are its own."""
    try:
        yield
    except SourceError:
        raise
    except READ_ERRORS + errors as error:
        damage = (
            f": its log cannot be read ({type(error).__name__}: {error}); "
            "restore the table, or export its rows to Parquet"
        )
        raise unreadable(root, error, damage) from error
