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
from storage.sources.source import MOST_NAMED

DEFAULTS = pa_csv.ConvertOptions()
GAPS = pa.array(DEFAULTS.null_values)
WORDS = pa.array([*DEFAULTS.true_values, *DEFAULTS.false_values])
WORD_VALUES = pa.array([1.0] * len(DEFAULTS.true_values) + [0.0] * len(DEFAULTS.false_values))
BOOLEAN_WORDS = pa.array(["True", "TRUE", "False", "FALSE"])
BOOLEANS = pa.array(["true", "true", "false", "false"])
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:inf|infinity|nan)$"
MOST_BROKEN = 0.1  # share of a column's filled cells; a column with more is text


class Numbers(NamedTuple):
    """Cells of a column as float64, null where there is a gap or no number.

    broken: (n,) bool, cells that are neither a number nor a gap.
    filled: number of cells that are no gap.
    """

    values: pa.DoubleArray
    broken: NDArray[np.bool_]
    filled: int


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
    first: the first broken cells, at most MOST_NAMED.
    times: whether all filled cells are times. as_time: whether it is read as a time, so that cells
    which are none are broken.
    """

    type: pa.DataType
    found: pa.DataType
    filled: int = 0
    broken: int = 0
    first: list[BrokenCell] = field(default_factory=list)
    times: bool = True
    as_time: bool = False

    @property
    def is_readable(self) -> bool:
        """Whether the column is one of numbers or times, at most MOST_BROKEN cells excepted."""
        return self.broken <= MOST_BROKEN * self.filled

    def broken_as(self, kind: str) -> int:
        """Count the cells that are broken if the column is read as `kind`, a number or a time.

        A column that was checked for numbers is read as a time only if all its cells are times.
        """
        return self.broken if self.as_time or kind not in TIME else 0

    def add(self, name: str, start: int, texts: pa.StringArray, decimal: str) -> None:
        """Count the cells of consecutive rows from row `start` on."""
        if pa.types.is_temporal(self.found) and self.times:
            self.times = not times_in(texts).broken.any()
        read = times_in(texts) if self.as_time else numbers_of(texts, decimal)
        self.filled += read.filled
        self.broken += int(read.broken.sum())
        for index in np.flatnonzero(read.broken)[: MOST_NAMED - len(self.first)].tolist():
            text = texts[index].as_buffer().to_pybytes().decode(errors="replace")
            self.first.append(BrokenCell(start + index, name, text))


def numbers_of(texts: pa.StringArray, decimal: str) -> Numbers:
    """Convert cells to numbers as the CSV reader does; Boolean words are 1 and 0.

    Where the decimal mark is a comma, a cell with a point is no number.
    """
    trimmed = pc.ascii_trim_whitespace(texts)
    gaps = pc.is_in(trimmed, GAPS)
    if decimal == ",":
        trimmed = pc.replace_substring(pc.replace_substring(trimmed, ".", "?"), ",", ".")
    numeric = pc.and_not(pc.match_substring_regex(trimmed, NUMBER), gaps)
    values = pc.if_else(numeric, trimmed, None).cast(pa.float64())
    values = pc.coalesce(values, pc.take(WORD_VALUES, pc.index_in(trimmed, WORDS)))
    filled = ~_mask(gaps)
    return Numbers(values, filled & _mask(values.is_null()), int(filled.sum()))


class Times(NamedTuple):
    """Cells of a column as times, null where there is a gap or no time.

    broken: (n,) bool, cells that are neither a time nor a gap.
    filled: number of cells that are no gap.
    """

    values: pa.TimestampArray
    broken: NDArray[np.bool_]
    filled: int


def times_in(texts: pa.StringArray) -> Times:
    """Convert cells to times; see `parse_times`."""
    values = parse_times(texts)
    filled = ~_mask(pc.is_in(pc.ascii_trim_whitespace(texts), GAPS))
    return Times(values, _mask(values.is_null()) & filled, int(filled.sum()))


def levels_in(texts: pa.StringArray) -> pa.StringArray:
    """Return cells as levels: an empty cell is a gap, and Booleans are written as in Parquet."""
    words = pc.take(BOOLEANS, pc.index_in(texts, BOOLEAN_WORDS))
    return pc.coalesce(words, pc.if_else(pc.equal(texts, ""), None, texts))


def _mask(values: pa.BooleanArray) -> NDArray[np.bool_]:
    return np.asarray(values.to_numpy(zero_copy_only=False), np.bool_)
