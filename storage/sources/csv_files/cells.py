"""Cells of a CSV column as numbers, times, or levels; what is no number is counted and named."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from storage.sources.columns.kinds import parse_times
from storage.sources.columns.schema import TIME
from storage.sources.columns.written_values import ordered_days_in_iso
from storage.sources.csv_files.dialect import MONTH_FIRST, Dialect
from storage.sources.csv_files.written_numbers import looks_like_amount, read_amounts
from storage.sources.source import MOST_NAMED

DEFAULTS = pa_csv.ConvertOptions()
UNKNOWN = (  # what people and programs write where there is no number or time
    *("-", "--", "–", "—", "?", ".", "..", "...", "*", r"\N", "<NA>", "None", "none", "NONE"),
    *("NaT", "Null", "N.A.", "n.a.", "N.a.", "n/a.", "k.A.", "na", "nil", "NIL", "N/D", "n/d"),
    *("unknown", "Unknown", "UNKNOWN", "missing", "Missing", "MISSING"),
    *("#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!"),
)
GAPS, MARKS = pa.array(DEFAULTS.null_values), pa.array(UNKNOWN)
WORDS = pa.array([*DEFAULTS.true_values, *DEFAULTS.false_values])
WORD_VALUES = pa.array([1.0] * len(DEFAULTS.true_values) + [0.0] * len(DEFAULTS.false_values))
BOOLEAN_WORDS = pa.array(["True", "TRUE", "False", "FALSE"])
BOOLEANS = pa.array(["true", "true", "false", "false"])
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:inf|infinity|nan)$"
MOST_BROKEN = 0.1  # share of a column's filled cells; a column with more is text
MOST_BROKEN_IF_ASKED = 0.5  # of one that is asked for as numbers or times


class Numbers(NamedTuple):
    """Cells of a column as float64, null where there is a gap or no number.

    broken: (n,) bool, cells that are neither a number, a gap, nor a mark. marks: (n,) bool, cells
    that say in words or signs that there is no value. filled: number of cells that are neither a
    gap nor a mark. units: of the numbers but 0, '' where one has none. numeric: whether some cell
    is a number, not a Boolean word.
    """

    values: pa.DoubleArray
    broken: NDArray[np.bool_]
    marks: NDArray[np.bool_]
    filled: int
    units: frozenset[str]
    numeric: bool


class BrokenCell(NamedTuple):
    """A cell that is no number: its row within the file, its column, its text."""

    row: int
    column: str
    text: str


@dataclass
class ColumnScan:
    """What a whole file says about one column.

    type: the Arrow type to read it as; text if a cell is no number.
    found: the type of the first rows.
    first: the first broken cells, at most MOST_NAMED. marks, first_marks: the same of marks.
    units, numeric: of the numbers, see `Numbers`.
    times: whether all filled cells are times. as_time: whether it is read as a time, so that cells
    which are none are broken.
    """

    type: pa.DataType
    found: pa.DataType
    filled: int = 0
    broken: int = 0
    marks: int = 0
    first: list[BrokenCell] = field(default_factory=list)
    first_marks: list[BrokenCell] = field(default_factory=list)
    units: frozenset[str] = frozenset()
    numeric: bool = False
    times: bool = True
    as_time: bool = False

    @property
    def written(self) -> int:
        """Cells that are not empty."""
        return self.filled + self.marks

    @property
    def is_readable(self) -> bool:
        """Whether the column is one of numbers or times, at most MOST_BROKEN cells excepted.

        Amounts in several currencies, or some in percent, are text, as is a column without any,
        such as one of Boolean words and marks.
        """
        if pa.types.is_string(self.type) and not (self.numeric or self.as_time):
            return False
        one_unit = len(self.units - {""}) < 2 and self.units != {"", "%"}
        return self.broken <= MOST_BROKEN * self.filled and one_unit

    @property
    def is_readable_if_asked(self) -> bool:
        """Whether the column can be read as numbers or times: most filled cells are, if any is."""
        return not self.filled or self.broken < MOST_BROKEN_IF_ASKED * self.filled

    def unreadable_as(self, kind: str, *, marks: bool) -> tuple[int, list[BrokenCell]]:
        """Count the cells that are broken if the column is read as `kind`, and name the first.

        marks: whether marks count. A column that was checked for numbers is read as a time only if
        all its cells are times.
        """
        if kind in TIME and not self.as_time:
            return 0, []
        if not marks:
            return self.broken, self.first
        return self.broken + self.marks, sorted([*self.first, *self.first_marks])[:MOST_NAMED]

    def add(self, name: str, start: int, texts: pa.StringArray, dialect: Dialect) -> None:
        """Count the cells of consecutive rows from row `start` on."""
        if pa.types.is_temporal(self.found) and self.times:
            self.times = not times_in(texts, dialect.days).broken.any()
        if self.as_time:
            read: Numbers | Times = times_in(texts, dialect.days)
        else:
            read = found = numbers_of(texts, dialect.decimal)
            self.units, self.numeric = self.units | found.units, self.numeric or found.numeric
        self.filled += read.filled
        self.broken += int(read.broken.sum())
        self.marks += int(read.marks.sum())
        for first, mask in ((self.first, read.broken), (self.first_marks, read.marks)):
            for index in np.flatnonzero(mask)[: MOST_NAMED - len(first)].tolist():
                text = texts[index].as_buffer().to_pybytes().decode(errors="replace")
                first.append(BrokenCell(start + index, name, text))


def numbers_of(texts: pa.StringArray, decimal: str) -> Numbers:
    """Convert cells to numbers as the CSV reader does; Boolean words are 1 and 0.

    Others may be amounts, see `read_amounts`. Otherwise, a cell with a point is no number where the
    decimal mark is a comma.
    """
    trimmed = pc.ascii_trim_whitespace(texts)
    gaps, marks = pc.is_in(trimmed, GAPS), pc.is_in(trimmed, MARKS)
    values, plain = _plain_numbers(trimmed, decimal)
    values = pc.if_else(gaps, None, values)
    units = {""} if pc.any(_not_zero(plain)).as_py() else set()
    amounts = pc.and_(looks_like_amount(trimmed, decimal), values.is_null())
    if pc.any(amounts).as_py():
        found = read_amounts(trimmed.filter(amounts), decimal)
        values = pc.replace_with_mask(values, amounts, found.values)
        units |= {*pc.unique(found.units.filter(_not_zero(found.values))).to_pylist()}
    filled = ~_mask(pc.or_(gaps, marks))
    broken = filled & _mask(values.is_null())
    some = plain.null_count < len(plain) or bool(pc.any(amounts).as_py())
    return Numbers(values, broken, _mask(marks), int(filled.sum()), frozenset(units), some)


def _plain_numbers(trimmed: pa.StringArray, decimal: str) -> tuple[pa.DoubleArray, pa.DoubleArray]:
    """Return numbers with Boolean words as 1 and 0, and numbers only; null where a cell is none."""
    pointed = trimmed
    if decimal == ",":
        pointed = pc.replace_substring(pc.replace_substring(trimmed, ".", "?"), ",", ".")
    numeric = pc.match_substring_regex(pointed, NUMBER)
    numbers = pc.if_else(numeric, pointed, None).cast(pa.float64())
    return pc.coalesce(numbers, pc.take(WORD_VALUES, pc.index_in(trimmed, WORDS))), numbers


def _not_zero(values: pa.DoubleArray) -> pa.BooleanArray:
    return pc.fill_null(pc.not_equal(values, 0), False)


class Times(NamedTuple):
    """Cells of a column as times, null where there is a gap or no time; see `Numbers`."""

    values: pa.TimestampArray
    broken: NDArray[np.bool_]
    marks: NDArray[np.bool_]
    filled: int


def with_clear_days(texts: pa.StringArray, days: str) -> pa.StringArray:
    """Write days such as 1/2/2026 in ISO 8601, if it is known which comes first."""
    if not days:
        return texts
    return ordered_days_in_iso(texts, month_first=days == MONTH_FIRST)


def times_in(texts: pa.StringArray, days: str) -> Times:
    """Convert cells to times; see `parse_times` and `with_clear_days`."""
    values, trimmed = parse_times(with_clear_days(texts, days)), pc.ascii_trim_whitespace(texts)
    marks = _mask(pc.is_in(trimmed, MARKS))
    filled = ~(_mask(pc.is_in(trimmed, GAPS)) | marks)
    return Times(values, _mask(values.is_null()) & filled, marks, int(filled.sum()))


def levels_in(texts: pa.StringArray) -> pa.StringArray:
    """Return cells as levels: an empty cell is a gap, and Booleans are written as in Parquet."""
    words = pc.take(BOOLEANS, pc.index_in(texts, BOOLEAN_WORDS))
    return pc.coalesce(words, pc.if_else(pc.equal(texts, ""), None, texts))


def _mask(values: pa.BooleanArray) -> NDArray[np.bool_]:
    return np.asarray(values.to_numpy(zero_copy_only=False), np.bool_)


def read_as(kind: pa.DataType) -> pa.DataType:
    """Read Booleans as such, other numbers as float64, and what seems to be text as text."""
    if pa.types.is_boolean(kind):
        return kind
    return pa.float64() if is_number(kind) else pa.string()


def is_number(kind: pa.DataType) -> bool:
    """Return whether a CSV reader found numbers in the first rows, or nothing."""
    types = pa.types
    return bool(types.is_floating(kind) or types.is_integer(kind) or types.is_null(kind))
