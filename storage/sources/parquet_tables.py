"""Parquet files as a source."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from storage.errors import SourceError
from storage.files.reads import unreadable
from storage.sources.columns import NO_FEATURE, NUMERIC, Column, pick_columns, unnamed
from storage.sources.schema import Schema
from storage.sources.source import Origin
from storage.sources.tables import (
    Batch,
    TableSource,
    is_numeric,
    is_whole,
    own_types,
    require_distinct,
)

BUFFER_BYTES = 1 << 16  # of a column that are read at once; without it, whole row groups are


class Footer(NamedTuple):
    """Schema of a Parquet file, and the number of rows of each row group."""

    schema: pa.Schema
    group_sizes: list[int]


class ParquetSource(TableSource):
    """Parquet. Values are cast to one common dtype."""

    def __init__(
        self, path: Path, files: Sequence[Path], *, columns: Sequence[str], id: str, missing: str
    ) -> None:
        footers = [read_footer(file) for file in files]
        schemas = [footer.schema for footer in footers]
        chosen, unread = _shared_columns(files, schemas, columns, id)
        kinds = _column_types(schemas, chosen)
        dtype = _common_dtype(kinds, missing)
        sizes = [size for footer in footers for size in footer.group_sizes]
        starts = list(accumulate((sum(footer.group_sizes) for footer in footers), initial=0))
        super().__init__(
            Origin(path, tuple(files), missing, id),
            Schema((len(chosen),), dtype.name, chosen, own_types(kinds, dtype)),
            starts[-1],
        )
        self.starts = starts
        self.borders = list(accumulate(sizes, initial=0))
        self.id_column = id
        self.whole_ids = bool(id) and all(is_whole(schema.field(id).type) for schema in schemas)
        self.unread = unread
        self.ignored_numbers = tuple(name for name, why in unread.items() if why == NO_FEATURE)
        self.facts = {"format": "Parquet", "files": str(len(files))}

    def _stored_batches(self, file: Path, start: int, stop: int, max_rows: int) -> Iterator[Batch]:
        """Read the row groups that overlap [start, stop) as one: small ones share a batch."""
        with open_parquet(file) as opened:
            starts = list(accumulate(group_sizes(opened.metadata), initial=0))
            spans = list(enumerate(pairwise(starts)))
            groups = [group for group, (first, last) in spans if first < stop and last > start]
            row = starts[groups[0]] if groups else 0
            try:
                for rows in opened.iter_batches(
                    batch_size=max_rows,
                    row_groups=groups,
                    columns=self._columns_read(),
                    use_threads=False,
                ):
                    yield Batch(row, rows)
                    row += rows.num_rows
            except (OSError, pa.ArrowInvalid) as error:
                group = bisect_right(starts, row) - 1
                damage = f": row group {group} cannot be read ({error}); restore the file"
                raise unreadable(file, error, damage) from error
            if groups and row != (end := starts[groups[-1] + 1]):
                raise SourceError(
                    f"{file}: holds {row} rows up to row group {groups[-1]}, "
                    f"the footer says {end}; restore the file"
                )


def open_parquet(file: Path) -> pq.ParquetFile:
    """Open a Parquet file with page checksums verified. Raises SourceError."""
    path = file.absolute()  # pyarrow takes a relative path with a colon for a URI
    try:
        return pq.ParquetFile(
            path, page_checksum_verification=True, pre_buffer=False, buffer_size=BUFFER_BYTES
        )
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{file}: the name of a column is not UTF-8 text ({error}); rename the column"
        ) from error
    except (OSError, pa.ArrowInvalid) as error:
        raise unreadable(file, error, f": not a Parquet file, or truncated ({error})") from error


def read_footer(file: Path) -> Footer:
    """Read schema and row group sizes of a Parquet file. Raises SourceError."""
    with open_parquet(file) as opened:
        sizes = group_sizes(opened.metadata)
        if sum(sizes) != opened.metadata.num_rows:
            raise SourceError(
                f"{file}: damaged: the row groups have {sum(sizes)} rows, the footer says "
                f"{opened.metadata.num_rows}; restore the file"
            )
        return Footer(opened.schema_arrow, sizes)


def group_sizes(footer: pq.FileMetaData) -> list[int]:
    """Return the number of rows of each row group."""
    return [footer.row_group(index).num_rows for index in range(footer.num_row_groups)]


def _columns(schema: pa.Schema) -> dict[str, Column]:
    """Describe all columns by name; an index that pandas wrote is no feature by default."""
    index = _pandas_index(schema)
    fields = enumerate(zip(schema.names, schema.types, strict=True), start=1)
    return {
        name or unnamed(position): _column(name, kind, index) for position, (name, kind) in fields
    }


def _column(name: str, kind: pa.DataType, index: Collection[str]) -> Column:
    if not name:
        return Column(numeric=False, why_not="no name")
    if not is_numeric(kind):
        return Column(numeric=False, why_not=str(kind))
    return Column(numeric=True, why_not="pandas index") if name in index else NUMERIC


def _pandas_index(schema: pa.Schema) -> set[str]:
    """Return the columns that held the index of a pandas DataFrame, by the file's metadata."""
    try:
        stored = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
        return {name for name in stored.get("index_columns", ()) if isinstance(name, str)}
    except (ValueError, AttributeError, TypeError):  # not what pandas writes
        return set()


def _shared_columns(
    files: Sequence[Path], schemas: Sequence[pa.Schema], wanted: Sequence[str], id: str
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Pick features in the first file, and require them in all."""
    for file, schema in zip(files, schemas, strict=True):
        require_distinct(file, schema.names)
    chosen, unread = pick_columns(files[0], _columns(schemas[0]), wanted, id)
    for file, schema in zip(files[1:], schemas[1:], strict=True):
        pick_columns(file, _columns(schema), chosen, id)
    return chosen, unread


def _column_types(
    schemas: Sequence[pa.Schema], columns: Sequence[str]
) -> list[np.dtype[np.generic]]:
    """Return the NumPy dtype of each column that holds its values in all files."""
    by_name = [dict(zip(schema.names, schema.types, strict=True)) for schema in schemas]
    return [
        np.result_type(*{np.dtype(kinds[name].to_pandas_dtype()) for kinds in by_name})
        for name in columns
    ]


def _common_dtype(kinds: Sequence[np.dtype[np.generic]], missing: str) -> np.dtype[np.generic]:
    """Return the NumPy dtype that holds every feature; a float if gaps are imputed."""
    numbers = {np.dtype(np.uint8) if kind.kind == "b" else kind for kind in kinds}
    floats = [np.dtype(np.float32)] if missing == "impute" else []
    return np.result_type(np.result_type(*numbers), *floats)
