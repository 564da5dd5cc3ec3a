"""Parquet files as a source."""

from __future__ import annotations

import json
import math
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
from storage.objects.paths import ObjectPath
from storage.sources.columns import (
    NO_FEATURE,
    Column,
    Feature,
    Wanted,
    dated_columns,
    named_features,
    pick_shared,
    require_distinct,
    unnamed,
)
from storage.sources.ids import is_whole
from storage.sources.kinds import describe_column, holds_text, no_times
from storage.sources.schema import NUMBER, TIME, Schema
from storage.sources.source import BROKEN_CELLS, MOST_NAMED, Origin
from storage.sources.tables import (
    Batch,
    TableSource,
    number_schema,
)
from storage.visible_text import visible_name

BUFFER_BYTES = 1 << 16  # of a column that are read at once; without it, whole row groups are
FETCHED_BYTES = 32 << 20  # of all columns of an object that are fetched at once


class Footer(NamedTuple):
    """Schema of a Parquet file, and the number of rows of each row group."""

    schema: pa.Schema
    group_sizes: list[int]


class ParquetSource(TableSource):
    """Parquet. Values are cast to one common dtype."""

    def __init__(self, path: Path, files: Sequence[Path], wanted: Wanted, *, missing: str) -> None:
        footers = [read_footer(file) for file in files]
        schemas = [footer.schema for footer in footers]
        described = _described(files, schemas)
        features, unread = pick_shared(files, described, wanted)
        layout = _layout(schemas, features, missing)
        sizes = [size for footer in footers for size in footer.group_sizes]
        starts = list(accumulate((sum(footer.group_sizes) for footer in footers), initial=0))
        super().__init__(
            Origin(path, tuple(files), missing, wanted.id),
            layout,
            starts[-1],
        )
        self.starts = starts
        self.borders = list(accumulate(sizes, initial=0))
        self.id_column = wanted.id
        self.whole_ids = bool(wanted.id) and all(
            is_whole(schema.field(wanted.id).type) for schema in schemas
        )
        self.unread = unread
        self.dated = dated_columns(described, wanted)
        self.not_features = tuple(name for name, why in unread.items() if why == NO_FEATURE)
        self._schemas = schemas
        self.facts = {"format": "Parquet", "files": str(len(files)), **self._unreadable_times()}

    def _types(self, name: str) -> list[pa.DataType]:
        return [schema.field(name).type for schema in self._schemas]

    def _unreadable_times(self) -> dict[str, str]:
        """Count and name texts that become gaps, since they are no times; empty if none do.

        Only columns of text that are read as times are read.
        """
        times = {name for name, kind in named_features(self.schema) if kind in TIME}
        texts = [name for name in times if any(map(holds_text, self._types(name)))]
        if self.missing != "impute" or not texts:
            return {}
        count, start = 0, 0
        named: list[str] = []
        for rows in self.column_batches(sorted(texts)):
            for name in rows.schema.names:
                places = np.flatnonzero(no_times(rows.column(name))).tolist()
                count += len(places)
                for place in places[: MOST_NAMED - len(named)]:
                    file, row = self._locate(start + place)
                    cell = visible_name(str(rows.column(name)[place]))
                    named.append(f"{file.name}, row {row}, column {name}: '{cell}'")
            start += rows.num_rows
        more = ", …" if count > len(named) else ""
        return {BROKEN_CELLS: f"{count:,} ({'; '.join(named)}{more})"} if count else {}

    def _stored_batches(
        self, file: Path, span: tuple[int, int], max_rows: int, names: Sequence[str]
    ) -> Iterator[Batch]:
        """Read the row groups that overlap the span as one: small ones share a batch."""
        start, stop = span
        with open_parquet(file) as opened:
            starts = list(accumulate(group_sizes(opened.metadata), initial=0))
            spans = list(enumerate(pairwise(starts)))
            groups = [group for group, (first, last) in spans if first < stop and last > start]
            row = starts[groups[0]] if groups else 0
            try:
                for together in fetched_together(file, opened.metadata, groups):
                    for rows in opened.iter_batches(
                        batch_size=max_rows,
                        row_groups=together,
                        columns=list(names),
                        use_threads=False,
                    ):
                        yield Batch(row, rows, block=self._block_column(rows))
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


READING = {"page_checksum_verification": True, "pre_buffer": False}


def open_parquet(file: Path) -> pq.ParquetFile:
    """Open a Parquet file with page checksums verified. Raises SourceError."""
    try:
        if isinstance(file, ObjectPath):
            return _open_object(file)
        path = file.absolute()  # pyarrow takes a relative path with a colon for a URI
        return pq.ParquetFile(path, **READING, buffer_size=BUFFER_BYTES)
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{file}: the name of a column is not UTF-8 text ({error}); rename the column"
        ) from error
    except (OSError, pa.ArrowInvalid) as error:
        raise unreadable(file, error, f": not a Parquet file, or truncated ({error})") from error


def _open_object(file: ObjectPath) -> pq.ParquetFile:
    """Open an object: its row groups are fetched as a whole, or column by column if they are large.

    A request takes time, however few its bytes.
    """
    footer = pq.read_metadata(file.open_object())
    largest = max(_group_bytes(footer), default=0)
    if largest <= FETCHED_BYTES:
        how = {**READING, "pre_buffer": True}
    else:
        how = {**READING, "buffer_size": max(BUFFER_BYTES, FETCHED_BYTES // footer.num_columns)}
    return pq.ParquetFile(file.open_object(), metadata=footer, **how)


def fetched_together(
    file: Path, footer: pq.FileMetaData, groups: Sequence[int]
) -> Iterator[Sequence[int]]:
    """Yield runs of row groups that are read as one: of an object, those that are fetched at once.

    Of a local file, all are.
    """
    most = FETCHED_BYTES if isinstance(file, ObjectPath) else math.inf
    sizes, run, held = _group_bytes(footer), list[int](), 0
    for group in groups:
        if run and held + sizes[group] > most:
            yield run
            run, held = [], 0
        run.append(group)
        held += sizes[group]
    yield run


def _group_bytes(footer: pq.FileMetaData) -> list[int]:
    """Return the bytes of each row group, uncompressed."""
    return [footer.row_group(index).total_byte_size for index in range(footer.num_row_groups)]


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
        return Column((), why_not="no name")
    column = describe_column(kind)
    return column._replace(why_not="pandas index") if name in index and column.kinds else column


def _pandas_index(schema: pa.Schema) -> set[str]:
    """Return the columns that held the index of a pandas DataFrame, by the file's metadata."""
    try:
        stored = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
        return {name for name in stored.get("index_columns", ()) if isinstance(name, str)}
    except (ValueError, AttributeError, TypeError):  # not what pandas writes
        return set()


def _described(files: Sequence[Path], schemas: Sequence[pa.Schema]) -> list[dict[str, Column]]:
    """Describe the columns of each file, whose names must be distinct. Raises SourceError."""
    for file, schema in zip(files, schemas, strict=True):
        require_distinct(file, schema.names)
    return list(map(_columns, schemas))


def _layout(schemas: Sequence[pa.Schema], features: Sequence[Feature], missing: str) -> Schema:
    """Return the schema of the rows: of float64 where some columns are no numbers."""
    columns = tuple(feature.name for feature in features)
    kinds = tuple(feature.kind for feature in features)
    if {*kinds} != {NUMBER}:
        return Schema((len(columns),), "float64", columns, kinds=kinds)
    by_name = [dict(zip(schema.names, schema.types, strict=True)) for schema in schemas]
    return number_schema({name: [kinds[name] for kinds in by_name] for name in columns}, missing)
