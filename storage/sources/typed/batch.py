"""Consecutive rows of one file as Arrow columns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


class Batch(NamedTuple):
    """Consecutive rows of one file: the number of the first row, and an Arrow record batch.

    broken: (n,) bool, rows with a cell that is no number or time; None if there are none.
    cells: the columns as the file has them, where `rows` has them converted.
    block: the column that says which rows are a block, if the source has one.
    """

    start: int
    rows: pa.RecordBatch
    broken: NDArray[np.bool_] | None = None
    cells: pa.RecordBatch | None = None
    block: pa.Array | None = None

    def cut(self, start: int, stop: int) -> Batch:
        """Return the part that lies within [start, stop); it may be empty."""
        first = min(max(start - self.start, 0), self.rows.num_rows)
        last = max(first, min(stop - self.start, self.rows.num_rows))
        broken = None if self.broken is None else self.broken[first:last]
        cells = None if self.cells is None else self.cells.slice(first, last - first)
        block = None if self.block is None else self.block.slice(first, last - first)
        rows = self.rows.slice(first, last - first)
        return Batch(self.start + first, rows, broken, cells, block)
