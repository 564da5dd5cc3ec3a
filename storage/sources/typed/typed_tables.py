"""What files share whose columns have Arrow types."""

from __future__ import annotations

import json
from abc import abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa

from storage.errors import SourceError
from storage.sources.columns.features import (
    NO_FEATURE,
    Column,
    Feature,
    Wanted,
    dated_columns,
    named_features,
    require_distinct,
    unnamed,
)
from storage.sources.columns.kinds import describe_column, holds_text, no_times
from storage.sources.columns.number_types import number_schema
from storage.sources.columns.schema import KEYED, NUMBER, TIME, Schema
from storage.sources.ids import is_whole
from storage.sources.partitions import Partitions, folder_values
from storage.sources.source import BROKEN_CELLS, MOST_NAMED, Origin
from storage.sources.tables import TableSource
from storage.sources.typed.batch import Batch
from storage.visible_text import visible_name


class Footer(NamedTuple):
    """Schema of a file, and the rows of each part that can be read without those before it.

    lacking: columns that are known to have gaps.
    """

    schema: pa.Schema
    sizes: list[int]
    lacking: Collection[str] = ()


class TypedSource(TableSource):
    """Files of typed columns, in parts. Values are cast to one common dtype.

    part: what a format calls a part.
    """

    format: ClassVar[str]
    part: ClassVar[str]

    def __init__(self, path: Path, files: Sequence[Path], wanted: Wanted, *, missing: str) -> None:
        footers = self._read_footers(files)
        self._footers = dict(zip(files, footers, strict=True))
        for file, footer in self._footers.items():
            require_distinct(file, footer.schema.names)
        self.partitions = Partitions({file: self._partition_values(file) for file in files})
        described = {file: self._columns(file) for file in files}
        features, unread = self.partitions.pick(described, wanted)
        starts = list(accumulate((sum(footer.sizes) for footer in footers), initial=0))
        super().__init__(
            Origin(path, tuple(files), missing, wanted.id),
            self._layout(features, missing),
            starts[-1],
        )
        self.starts = starts
        sizes = [size for footer in footers for size in footer.sizes]
        self.borders = list(accumulate(sizes, initial=0))
        self.id_column = wanted.id
        self.whole_ids = bool(wanted.id) and all(map(is_whole, self.column_types(wanted.id)))
        self.text_ids = bool(wanted.id) and not self.whole_ids
        lacking = {name for footer in footers for name in footer.lacking}
        self.has_gaps = any(each.name in lacking for each in features if each.kind not in KEYED)
        self.unread = unread
        self.folder_columns = [self.partitions.of_file(file) for file in files]
        self.dated = dated_columns([*described.values()], wanted)
        self.not_features = tuple(name for name, why in unread.items() if why == NO_FEATURE)
        files_read = str(len(files))
        self.facts = {"format": self.format, "files": files_read, **self._unreadable_times()}

    def _read_footers(self, files: Sequence[Path]) -> list[Footer]:
        return [self._read_footer(file) for file in files]

    @abstractmethod
    def _read_footer(self, file: Path) -> Footer:
        """Read what a file holds. Raises SourceError."""

    @abstractmethod
    def _read_parts(
        self, file: Path, parts: range, max_rows: int, names: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        """Yield these columns of consecutive parts in batches of at most `max_rows` rows.

        Raises SourceError, with `_damage` in its message.
        """

    def _partition_values(self, file: Path) -> Mapping[str, str | None]:
        """Return the columns that have one value in all rows of a file, as text."""
        return folder_values(file)

    def _columns(self, file: Path) -> dict[str, Column]:
        """Describe the columns of a file by name."""
        schema = self._footers[file].schema
        index = _pandas_index(schema)
        return {
            field.name or unnamed(position): _described(field, index)
            for position, field in enumerate(schema, start=1)
        }

    def _unreadable_times(self) -> dict[str, str]:
        """Count and name texts that become gaps, since they are no times; empty if none do.

        Only columns of text that are read as times are read.
        """
        times = {name for name, kind in named_features(self.schema) if kind in TIME}
        texts = sorted(name for name in times if any(map(holds_text, self.column_types(name))))
        if self.missing != "impute" or not texts:
            return {}
        count, start = 0, 0
        named: list[str] = []
        for rows in self.column_batches(texts):
            for name in texts:
                places = np.flatnonzero(no_times(rows.column(name))).tolist()
                count += len(places)
                for place in places[: MOST_NAMED - len(named)]:
                    file, row = self._locate(start + place)
                    cell = visible_name(str(rows.column(name)[place]))
                    named.append(f"{file.name}, row {row}, column {name}: '{cell}'")
            start += rows.num_rows
        more = ", …" if count > len(named) else ""
        return {BROKEN_CELLS: f"{count:,} ({'; '.join(named)}{more})"} if count else {}

    def columns_in(self, file: Path) -> Sequence[str]:
        """Return the columns that a file itself holds."""
        return tuple(self._footers[file].schema.names)

    def holds_switches(self, name: str) -> bool:
        """Return whether a column holds Booleans."""
        return all(map(pa.types.is_boolean, self.column_types(name)))

    def _stored_types(self, name: str) -> list[pa.DataType]:
        return [footer.schema.field(name).type for footer in self._footers.values()]

    def _layout(self, features: Sequence[Feature], missing: str) -> Schema:
        """Return the schema of the rows: of float64 where some columns are no numbers."""
        columns = tuple(feature.name for feature in features)
        kinds = tuple(feature.kind for feature in features)
        if {*kinds} != {NUMBER}:
            return Schema((len(columns),), "float64", columns, kinds=kinds)
        return number_schema({name: self.column_types(name) for name in columns}, missing)

    def _stored_batches(
        self, file: Path, span: tuple[int, int], max_rows: int, names: Sequence[str]
    ) -> Iterator[Batch]:
        (start, stop), starts = span, self._part_starts(file)
        parts = range(bisect_right(starts, start) - 1, bisect_left(starts, stop))
        row = starts[parts.start]
        for rows in self._read_parts(file, parts, max_rows, names):
            yield Batch(row, rows, block=self._block_column(rows))
            row += rows.num_rows
        if row != starts[parts.stop]:
            raise SourceError(
                f"{file}: holds {row} rows up to {self.part} {parts.stop - 1}, expected "
                f"{starts[parts.stop]}; restore the file, or rerun once it is complete"
            )

    def _part_starts(self, file: Path) -> list[int]:
        return list(accumulate(self._footers[file].sizes, initial=0))

    def _damage(self, part: int, error: Exception) -> str:
        """Say that a part cannot be read, as the end of a message that starts with the file."""
        return f": {self.part} {part} cannot be read ({error}); restore the file"


def cut_rows(rows: pa.RecordBatch, max_rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a batch in batches of at most `max_rows` rows."""
    for first in range(0, rows.num_rows, max_rows):
        yield rows.slice(first, max_rows)


def cheapest_column(schema: pa.Schema) -> int:
    """Return the column to read where only rows are counted: the one of the fewest bits."""
    bits = [_bits(kind) for kind in schema.types]
    return bits.index(min(bits))


def _bits(kind: pa.DataType) -> int:
    try:
        return int(kind.bit_width)
    except ValueError:  # of varying width
        return 1 << 20


def _described(field: pa.Field, index: Collection[str]) -> Column:
    """Describe a column; an index that pandas wrote is no feature by default."""
    if not field.name:
        return Column((), why_not="no name")
    column = describe_column(field.type)
    in_index = field.name in index and column.kinds
    return column._replace(why_not="pandas index") if in_index else column


def _pandas_index(schema: pa.Schema) -> set[str]:
    """Return the columns that held the index of a pandas DataFrame, by the file's metadata."""
    try:
        stored = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
        return {name for name in stored.get("index_columns", ()) if isinstance(name, str)}
    except (ValueError, AttributeError, TypeError):  # not what pandas writes
        return set()
