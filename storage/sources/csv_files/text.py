"""The text of a CSV file: its dialect, its header line, and single cells of it."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import SourceError
from storage.objects.paths import input_stream
from storage.sources.columns.features import DETECTED
from storage.sources.csv_files.cells import GAPS, MARKS, NUMBER
from storage.sources.csv_files.dialect import (
    WINDOWS,
    Dialect,
    detect_decimal,
    detect_delimiter,
    detect_encoding,
    of_one_byte,
)
from storage.sources.csv_files.month_or_day import MonthOrDay

SNIFF_BYTES = 1 << 16
MOST_SNIFFED = 64 << 20  # where the start does not tell the encoding, or the order of days
ALIGNED = 3  # rows
MOST_UNNAMED = 0.5  # share of the columns with values
NO_NAMES = {*GAPS.to_pylist(), *MARKS.to_pylist()}  # a first line that holds them says nothing


class Cell(NamedTuple):
    """The text of a cell, and the line of the file on which its row ends."""

    line: int
    text: str


@contextmanager
def open_text(file: Path, encoding: str) -> Iterator[io.TextIOWrapper]:
    """Open a CSV file as text, decompressed if its name says so. Raises SourceError."""
    with decompressing(file), input_stream(file) as stream:
        encoding = "utf-8-sig" if encoding == "utf-8" else encoding
        yield io.TextIOWrapper(stream, encoding=encoding, newline="")


@contextmanager
def decompressing(file: Path) -> Iterator[None]:
    """Turn an error of decompression into a SourceError; one of the disk stays as it is."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            raise
        raise SourceError(f"{file}: cannot be decompressed ({error}); restore the file") from error


def find_dialect(file: Path, known: Dialect = DETECTED) -> Dialect:
    """Detect what is not known of how a CSV file writes cells, by its start.

    The order of days is left to `find_days`. Raises SourceError if the file is empty, damaged or
    not text.
    """
    try:
        with decompressing(file), input_stream(file) as stream:
            start = stream.read(SNIFF_BYTES)
            encoding = known.encoding or _detect_encoding(start, stream)
        text = codecs.getincrementaldecoder(encoding)().decode(start).lstrip("\ufeff")
    except UnicodeError as error:
        raise SourceError(
            f"{file}: not UTF-8 text, nor in another encoding that can be told ({error}); "
            "expected a CSV file; if it is one, convert it to UTF-8, or set data.csv.encoding"
        ) from error
    if not text.strip():
        raise SourceError(f"{file}: empty; expected a header line and rows")
    delimiter = known.delimiter or detect_delimiter(text)
    decimal = known.decimal or detect_decimal(text, delimiter)
    return Dialect(delimiter, decimal, encoding, known.days)


def _detect_encoding(start: bytes, stream: BinaryIO) -> str:
    """Return the encoding of a file by its first part that is not ASCII, if one is."""
    found, part = detect_encoding(start), start
    for _ in range(MOST_SNIFFED // SNIFF_BYTES):
        if not part or not (part.isascii() or found == WINDOWS):
            break  # any part may hold what Windows-1252 lacks
        part = stream.read(SNIFF_BYTES)
        if not part.isascii():
            found = detect_encoding(part) if found != WINDOWS else of_one_byte(part)
    return found


def find_days(files: Sequence[Path], dialect: Dialect) -> str:
    """Return which comes first in days such as 1/2/2026, if a day of some file tells; else ''.

    At most the first MOST_SNIFFED characters of each file count.
    """
    order = MonthOrDay(dialect.delimiter)
    for file in files:
        with open_text(file, dialect.encoding) as stream:
            stream.reconfigure(errors="replace")  # reading the rows finds what is no text
            for _ in range(MOST_SNIFFED // SNIFF_BYTES):
                text = stream.read(SNIFF_BYTES) + stream.readline(SNIFF_BYTES)  # no half a day
                order.add(text)
                if not (text and order.is_open):
                    break
        if not order.is_open:
            break
    return order.found


def read_cell(file: Path, dialect: Dialect, row: int, column: int) -> Cell:
    """Return one cell by row and column number; reads the file up to it.

    The text is '' if the row has no such column or is not UTF-8 text.
    """
    try:
        with open_text(file, dialect.encoding) as stream:
            reader = csv.reader(stream, delimiter=dialect.delimiter)
            cells = next(islice(filter(None, reader), row + 1, None))
            return Cell(reader.line_num, cells[column])
    except (csv.Error, UnicodeDecodeError, StopIteration, IndexError):
        return Cell(row + 2, "")


def require_header(file: Path, names: Sequence[str], first: pa.RecordBatch) -> None:
    """Require that the first line holds names, not the first row. Raises SourceError.

    first: the rows below it, in the types that their values suggest.
    """
    if _is_row(names, first):
        raise SourceError(
            f"{file}: the first line holds numbers; "
            "expected a header line with column names, so add one"
        )
    if len(names) == 1 and _is_aligned(names[0], first.column(0)):
        raise SourceError(
            f"{file}: one column, {names[0].strip()!r}; expected columns that are separated by a "
            "comma, semicolon, tab, or bar, so write spaces between them as one of these"
        )
    filled = [name for name, column in zip(names, first.columns, strict=True) if _is_filled(column)]
    named = sum(map(bool, filled))
    if named < MOST_UNNAMED * len(filled):
        raise SourceError(
            f"{file}: the first line names {named} of {len(filled)} columns; expected a header "
            "line with column names; delete titles and notes above it"
        )


def _is_aligned(name: str, column: pa.Array) -> bool:
    """Whether name and first rows of the only column are words between spaces, as many in each."""
    if not pa.types.is_string(column.type):
        return False  # 2026-01-31 10:05 is one value
    counts = {len(text.split()) for text in [name, *column[:ALIGNED].to_pylist()]}
    return len(column) > 0 and len(counts) == 1 and max(counts) > 1


def _is_filled(column: pa.Array) -> bool:
    """Whether a column of the first rows has a value."""
    if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
        column = column.filter(pc.greater(pc.binary_length(column), 0))
    return bool(column.null_count < len(column))


def _is_row(names: Sequence[str], first: pa.RecordBatch) -> bool:
    """Whether each name is a value of its column, and they are no ordered scale.

    Adjacent columns named by ascending or descending numbers may be wavelengths or years, unless a
    text beside them is a value that its column holds again.
    """
    pairs = list(zip(names, first.columns, strict=True))
    typed = [position for position, pair in enumerate(pairs) if _tells(*pair)]
    if not typed or not all(_fits(names[each], pairs[each][1].type) for each in typed):
        return False
    adjacent = typed[-1] - typed[0] == len(typed) - 1
    return not (adjacent and _is_scale([names[each] for each in typed])) or _recurs(pairs)


def _recurs(pairs: Sequence[tuple[str, pa.Array]]) -> bool:
    """Whether a text of the first line stands in its column again."""
    texts = [(name, column) for name, column in pairs if name and pa.types.is_string(column.type)]
    return any(pc.any(pc.equal(column, name)).as_py() for name, column in texts)


def _tells(name: str, column: pa.Array) -> bool:
    """Whether the type of a column can tell its name from a value."""
    tests = (pa.types.is_string, pa.types.is_binary, pa.types.is_null)
    return name.strip() not in NO_NAMES and not any(test(column.type) for test in tests)


def _fits(name: str, kind: pa.DataType) -> bool:
    kind = pa.float64() if pa.types.is_integer(kind) else kind
    try:
        pa.scalar(name.strip()).cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True


def _is_scale(names: Sequence[str]) -> bool:
    """Whether names are at least two numbers in strict order."""
    numeric = pc.match_substring_regex(pa.array(names), NUMBER)
    if len(names) < 2 or not pc.all(numeric).as_py():
        return False
    steps = [second - first for first, second in pairwise(map(float, names))]
    return min(steps) > 0 or max(steps) < 0


def why_unnamed(kind: pa.DataType) -> str:
    """Say why a column without a name, of such values in the first rows, is not read."""
    if pa.types.is_temporal(kind):
        return "no name; it holds times: name it in the header if it orders the rows"
    return "no name"
