"""Consecutive rows of one file, with what is known of each row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from storage.sources.series.order import SeriesRows

if TYPE_CHECKING:
    import pyarrow as pa

ALONG_ROWS = ("ids", "broken", "usable", "numbers", "beside", "blocks", "keys")  # of a chunk


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of one file.

    start: row number of the first row within the source.
    rows: (n, *row_shape) in the source's dtype.
    ids: (n,) int64 or text, or None if the row numbers are the ids.
    file: name of the file within the source.
    broken: (n,) bool, rows with a cell that is no number or time, as its column is, unless
        missing = "impute", where it is a gap; None if there are none.
    usable: (n,) whether a row holds a number in every column; None if all do.
    numbers: (n,) row numbers within the source; None if they count up from `start`.
    beside: the columns that a store keeps exactly, if the source is exact and has any.
    blocks: (n,) float64, the day since 1970 or the key of the level in the source's `block` column,
        NaN for a gap; None without such a column.
    keys: the columns that order rows, as the files have them; None unless the source reads any.
    series: of rows in series order, where they lie in their series; else None.
    """

    start: int
    rows: NDArray[np.generic]
    ids: NDArray[np.generic] | None
    file: str
    broken: NDArray[np.bool_] | None = None
    usable: NDArray[np.bool_] | None = None
    numbers: NDArray[np.int64] | None = None
    beside: pa.RecordBatch | None = None
    blocks: NDArray[np.float64] | None = None
    keys: pa.RecordBatch | None = None
    series: SeriesRows | None = None

    @property
    def row_numbers(self) -> NDArray[np.int64]:
        """Row numbers within the source, (n,)."""
        if self.numbers is not None:
            return self.numbers
        return np.arange(self.start, self.start + len(self.rows))

    def usable_part(self) -> Chunk:
        """Return the usable rows only."""
        if self.usable is None:
            return self
        ids = None if self.ids is None else self.ids[self.usable]
        numbers = self.row_numbers[self.usable]
        series = None if self.series is None else self.series.pick(self.usable)
        rows = self.rows[self.usable]
        return replace(self, rows=rows, ids=ids, usable=None, numbers=numbers, series=series)

    def cut(self, start: int, stop: int) -> Chunk:
        """Return the part from row `start` of the source up to `stop`."""
        part = slice(start - self.start, stop - self.start)
        cut = replace(self, start=start, rows=self.rows[part])
        for name in ALONG_ROWS:
            values = getattr(self, name)
            cut = cut if values is None else replace(cut, **{name: values[part]})
        return cut if self.series is None else replace(cut, series=self.series.pick(part))
