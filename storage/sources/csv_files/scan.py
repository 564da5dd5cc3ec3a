"""The first pass over a CSV file: its rows are counted, and every cell of a feature is checked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from storage.errors import SourceError
from storage.objects.paths import input_stream
from storage.sources.columns.features import (
    NO_VALUES,
    NUMERIC,
    Column,
    Wanted,
    require_distinct,
    unnamed,
)
from storage.sources.columns.kinds import kinds_of
from storage.sources.columns.schema import CATEGORY, NUMBER, TIME
from storage.sources.csv_files.cells import BrokenCell, ColumnScan, is_number, read_as
from storage.sources.csv_files.dialect import Dialect
from storage.sources.csv_files.spread_rows import SpreadRows
from storage.sources.csv_files.text import (
    decompressing,
    read_cell,
    require_header,
    why_unnamed,
)

BLOCK_BYTES, MOST_BLOCK_BYTES = 4 << 20, 64 << 20
BLOCK_ROWS, CELL_BYTES = 128, 16  # of wide files: rows in a block, bytes of a cell
EMPTY = Column((NUMBER,), (CATEGORY, *TIME), type=NO_VALUES)
UNCHECKED = ColumnScan(pa.string(), pa.string())
MOST_TEXT = 0.9  # share of cells that are no numbers; where more are none, numbers are accidents
MOST_RETRIES = 3  # after as many columns with a broken cell, all are read as text at once


@dataclass(frozen=True)
class CsvFile:
    """A CSV file and how it writes cells."""

    path: Path
    dialect: Dialect

    def first_rows(self) -> pa.RecordBatch:
        """Return the first block of rows, in the types that their values suggest.

        Raises SourceError if there is no header line.
        """
        try:
            options = self._read_options(), self._parse_options(), self._convert_options()
            with self._opened(*options) as reader:
                first = next(iter(reader), _no_rows(reader.schema))
        except pa.ArrowInvalid as error:
            raise SourceError(
                f"{self.path}: not a CSV file with a header line and rows ({error})"
                f"{self.dialect.doubt}; fix the row, or delete titles above and totals below"
            ) from error
        require_header(self.path, first.schema.names, first)
        require_distinct(self.path, first.schema.names)
        return first

    def batches(
        self, types: Mapping[str, pa.DataType], *, check_text: bool
    ) -> Iterator[pa.RecordBatch]:
        """Read columns in the given types and order. Raises pa.ArrowInvalid.

        check_text: whether to require UTF-8.
        """
        convert = self._convert_options(
            column_types=types, include_columns=list(types), check_utf8=check_text
        )
        options = self._read_options(), self._parse_options(), convert
        with self._opened(*options) as reader:
            yield from reader

    @contextmanager
    def _opened(self, *options: object) -> Iterator[pa_csv.CSVStreamingReader]:
        try:
            with (
                decompressing(self.path),
                input_stream(self.path) as stream,
                pa_csv.open_csv(stream, *options) as reader,
            ):
                yield reader
        except UnicodeDecodeError as error:
            raise SourceError(
                f"{self.path}: not text in {self.dialect.encoding} ({error}); "
                "restore the file, or set data.csv.encoding"
            ) from error

    def explain(self, error: pa.ArrowInvalid) -> SourceError:
        """Return an error that names the line of the file."""
        text = re.sub(r"Row #(\d+)", r"line \1", str(error))
        return SourceError(
            f"{self.path}: {text}{self.dialect.doubt}; fix the row, or delete a total or note"
        )

    def _read_options(self) -> pa_csv.ReadOptions:
        return pa_csv.ReadOptions(
            use_threads=False,
            block_size=self._block_bytes,
            encoding=self.dialect.arrow_encoding,
        )

    def _convert_options(self, **options: object) -> pa_csv.ConvertOptions:
        return pa_csv.ConvertOptions(decimal_point=self.dialect.decimal, **options)

    @cached_property
    def _block_bytes(self) -> int:
        """Bytes that are converted at once: every column of every block costs time."""
        with decompressing(self.path), input_stream(self.path) as stream:
            header = stream.read(BLOCK_BYTES).partition(b"\n")[0]
        columns = header.count(self.dialect.delimiter.encode()) + 1
        return int(min(MOST_BLOCK_BYTES, max(BLOCK_BYTES, BLOCK_ROWS * CELL_BYTES * columns)))

    def _parse_options(self) -> pa_csv.ParseOptions:
        return pa_csv.ParseOptions(delimiter=self.dialect.delimiter, newlines_in_values=True)


@dataclass(frozen=True)
class FileScan:
    """What a pass over a CSV file found.

    names: of all columns, '' for one without. types: of all columns, as the first rows suggest; of
    those without a name, that of one. scanned: the columns of which every cell was checked.
    """

    file: CsvFile
    rows: int
    names: Sequence[str]
    types: Mapping[str, pa.DataType]
    scanned: Mapping[str, ColumnScan]
    _lines: dict[int, int] = field(default_factory=dict)  # by row: finding one reads the file

    def columns(self) -> dict[str, Column]:
        """Describe all columns by name."""
        return dict(
            (name, self._column(name))
            if name
            else (unnamed(position), Column((), why_not=why_unnamed(self.types[""])))
            for position, name in enumerate(self.names, start=1)
        )

    def unreadable(self, name: str, kind: str, *, marks: bool) -> tuple[int, list[str]]:
        """Count and name cells of a feature, see `ColumnScan.unreadable_as`."""
        count, first = self.scanned[name].unreadable_as(kind, marks=marks)
        return count, [self._named(cell) for cell in first]

    def has_gaps(self, name: str) -> bool:
        """Return whether a feature that is a number or time has an empty cell."""
        return self.scanned[name].written < self.rows

    def why_mixed(self, name: str) -> str:
        """Say which cells of a column are no numbers, if more than a few others are; else ''."""
        scan = self.scanned.get(name)
        if scan is None or scan.as_time or not 0 < scan.broken < MOST_TEXT * scan.filled:
            return ""
        return self._why_not(scan, "numbers")

    def _column(self, name: str) -> Column:
        if name not in self.scanned:
            return _column_of(self.types[name], _type_name(self.types[name]))
        scan = self.scanned[name]
        if scan.as_time:
            return self._column_of_times(scan, self.types[name])
        if pa.types.is_boolean(scan.type):
            return Column((CATEGORY,), (NUMBER,), type="bool")
        if pa.types.is_null(scan.found) and not scan.filled:
            return EMPTY
        if scan.is_readable:
            return NUMERIC
        if pa.types.is_temporal(scan.found) and scan.times:
            return _column_of(scan.found, str(scan.found))
        others = (NUMBER, *TIME) if scan.is_readable_if_asked else TIME
        return Column((CATEGORY,), others, type=self._why_text(scan))

    def _column_of_times(self, scan: ColumnScan, kind: pa.DataType) -> Column:
        if scan.is_readable:
            return _column_of(kind, _type_name(kind))
        others = TIME if scan.is_readable_if_asked else ()
        return Column((CATEGORY,), others, type=self._why_not(scan, "times"))

    def _why_text(self, scan: ColumnScan) -> str:
        if scan.broken == scan.filled or not scan.first:
            return "text"
        return self._why_not(scan, "numbers")

    def _why_not(self, scan: ColumnScan, expected: str) -> str:
        return (
            f"{scan.broken:,} of {scan.filled:,} cells are not {expected}, "
            f"the first in {self._named(scan.first[0])}"
        )

    def _named(self, cell: BrokenCell) -> str:
        if cell.row not in self._lines:
            found = read_cell(self.file.path, self.file.dialect, cell.row, 0)
            self._lines[cell.row] = found.line
        place = f"{self.file.path.name}, line {self._lines[cell.row]}"
        return f"{place}, column {cell.column}: {cell.text!r}"


def _column_of(kind: pa.DataType, type_name: str) -> Column:
    """Describe a column by the type of its first rows; what is empty there may hold anything."""
    if pa.types.is_null(kind):
        return EMPTY
    if is_number(kind):
        return NUMERIC
    default, _ = kinds_of(kind)
    return Column(default or (CATEGORY,), (*TIME, CATEGORY), type=type_name)


def _type_name(kind: pa.DataType) -> str:
    return str(kind) if pa.types.is_temporal(kind) else "text"


def scan_file(file: CsvFile, wanted: Wanted, kept: SpreadRows | None = None) -> FileScan:
    """Count the rows and check every cell of the features that may be numbers, or are times.

    kept: where to keep some of the rows.
    """
    first = file.first_rows()
    types = dict(zip(first.schema.names, first.schema.types, strict=True))
    wished = wanted.columns or filter(None, types)
    named = [name for name in wished if name in types and name != wanted.id]
    numbers = [name for name in named if NUMBER in wanted.kinds.get(name, (NUMBER,))]
    times = [name for name in named if {*TIME} & {*wanted.kinds.get(name, ())}]
    plan = {name: ColumnScan(read_as(types[name]), types[name]) for name in numbers}
    plan |= {name: ColumnScan(pa.string(), types[name], as_time=True) for name in times}
    beside = [name for name in named if name not in plan] if kept else []
    rows, scanned = _checked(file, plan | dict.fromkeys(beside, UNCHECKED), kept)
    return FileScan(file, rows, first.schema.names, types, {name: scanned[name] for name in plan})


def _no_rows(schema: pa.Schema) -> pa.RecordBatch:
    return pa.record_batch([pa.array([], field.type) for field in schema], schema=schema)


def _checked(
    file: CsvFile, plan: Mapping[str, ColumnScan], kept: SpreadRows | None
) -> tuple[int, dict[str, ColumnScan]]:
    """Read all rows as planned, columns as text in which a cell is no number."""
    types = {name: scan.type for name, scan in plan.items()}
    for attempt in range(len(types) + 1):
        scans = {
            name: replace(scan, type=types[name], first=[], first_marks=[])
            for name, scan in plan.items()
        }
        trial = kept.copy() if kept else None
        try:
            rows = _scan(file, scans, trial)
        except pa.ArrowInvalid as error:
            name = _broken_column(error, list(types))
            if not name:
                raise file.explain(error) from error
            again = [name] if attempt < MOST_RETRIES else list(types)
            types |= dict.fromkeys(again, pa.string())
        else:
            if kept and trial:
                kept.replace_with(trial)
            return rows, scans
    raise AssertionError("text columns do not fail")


def _scan(file: CsvFile, scans: Mapping[str, ColumnScan], kept: SpreadRows | None) -> int:
    start = 0
    for batch in file.batches({name: scan.type for name, scan in scans.items()}, check_text=False):
        for name, scan in scans.items():  # without any, the reader returns all columns
            if pa.types.is_string(scan.type):
                scan.add(name, start, batch.column(name), file.dialect)
            else:
                scan.filled += batch.num_rows - batch.column(name).null_count
        if kept:
            kept.add(batch, file.path)
        start += batch.num_rows
    return start


def _broken_column(error: pa.ArrowInvalid, names: Sequence[str]) -> str:
    """Return the column that could not be converted; '' for another error."""
    found = re.search(r"In CSV column #(\d+): .*conversion error", str(error))
    return names[int(found[1])] if found else ""
