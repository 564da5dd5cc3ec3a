"""Rows of CSV files that are kept while every cell is checked, so that no second pass is needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.sources.spread import rows_in_block, rows_within


class KeptPart(NamedTuple):
    """Kept rows of one batch: their numbers (n,) within the source, their cells, their file."""

    numbers: NDArray[np.int64]
    rows: pa.RecordBatch
    file: Path


class SpreadRows:
    """Keeps at most `most` rows, in blocks of adjacent rows spread evenly over all rows offered."""

    def __init__(self, most: int) -> None:
        self._most, self._block = most, 1
        self._stride = 1  # of this many blocks, one is kept
        self._parts: list[KeptPart] = []
        self._offered = 0

    def copy(self) -> SpreadRows:
        """Return the same rows; what is offered to the copy is not kept in the original."""
        other = SpreadRows(self._most)
        other.replace_with(self)
        other._parts = list(self._parts)
        return other

    def replace_with(self, other: SpreadRows) -> None:
        """Keep what another one keeps."""
        self._stride, self._offered, self._parts = other._stride, other._offered, other._parts
        self._block = other._block

    def add(self, rows: pa.RecordBatch, file: Path) -> None:
        """Offer the next rows."""
        most = rows_within(self._most, rows.num_columns)
        self._block = rows_in_block(most)
        blocks = -(-most // self._block)
        numbers = np.arange(self._offered, self._offered + rows.num_rows)
        self._offered += rows.num_rows
        self._parts += self._wanted(KeptPart(numbers, rows, file))
        while self._offered > self._stride * blocks * self._block:
            self._stride *= 2
            self._parts = [kept for part in self._parts for kept in self._wanted(part)]

    def parts(self) -> list[KeptPart]:
        """Return what is kept, in source order."""
        return self._parts

    def _wanted(self, part: KeptPart) -> Iterator[KeptPart]:
        """Yield the part of a batch that lies in a kept block, as a copy, if there is one."""
        wanted = part.numbers // self._block % self._stride == 0
        if wanted.all():
            yield part
        elif wanted.any():
            indices = pa.array(np.flatnonzero(wanted))
            yield KeptPart(part.numbers[wanted], part.rows.take(indices), part.file)
