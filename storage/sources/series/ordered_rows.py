"""Rows in series order, wherever they lie: in the original files, or in a snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.sources.chunks import Chunk
from storage.sources.columns.schema import Schema
from storage.sources.input_files import relative_names
from storage.sources.series.key_values import Ticks, read_times
from storage.sources.series.order import SeriesIndex, SeriesOrder
from storage.sources.series.snapshot import SeriesSnapshot
from storage.sources.series.spool import BROKEN, UNUSABLE, Rows
from storage.sources.series.statistics import TimeRuns
from storage.sources.source import Source


class TimedChunk(NamedTuple):
    """Rows in series order, and their times (n,)."""

    chunk: Chunk
    times: Ticks


class OrderedRows(Protocol):
    """Rows in series order.

    borders: rows from which to read without reading others.
    """

    index: SeriesIndex
    schema: Schema
    n_rows: int
    borders: Sequence[int]

    def read(self, start: int, stop: int, max_rows: int) -> Iterator[TimedChunk]:
        """Yield rows that are not validated."""
        ...


class RowsInPlace:
    """Rows of a source that are in series order.

    times: those of all rows; None if they are read along.
    """

    def __init__(
        self, original: Source, order: SeriesOrder, index: SeriesIndex, times: TimeRuns | None
    ) -> None:
        self.original, self.order, self.index, self.times = original, order, index, times
        self.schema, self.n_rows = original.schema, original.n_rows
        self.borders: Sequence[int] = original.borders

    def read(self, start: int, stop: int, max_rows: int) -> Iterator[TimedChunk]:
        """Yield rows that are not validated."""
        if start >= stop:
            return
        for chunk in self.original.unchecked_chunks(start, stop, max_rows=max_rows):
            yield TimedChunk(chunk, self._times(chunk))

    def _times(self, chunk: Chunk) -> Ticks:
        stop = chunk.start + len(chunk.rows)
        if self.times is not None:
            return self.times.between(chunk.start, stop)
        if chunk.keys is None:
            return np.arange(chunk.start, stop)
        column = chunk.keys.column(self.order.time)
        return read_times(column, numbers=self.index.numbers).values


class RowsOfSnapshot:
    """Rows of a source that were sorted."""

    def __init__(self, original: Source, snapshot: SeriesSnapshot) -> None:
        self.original, self.snapshot, self.index = original, snapshot, snapshot.index
        self.schema, self.n_rows = snapshot.schema, snapshot.n_rows
        self.borders: Sequence[int] = range(0, snapshot.n_rows, snapshot.group_rows)

    def read(self, start: int, stop: int, max_rows: int) -> Iterator[TimedChunk]:
        """Yield rows that are not validated."""
        names = relative_names(self.original.path, [*self.original.files])
        for first, rows in self.snapshot.read(start, stop, max_rows):
            name = names[int(file_places(self.original, rows.numbers[:1])[0])]
            yield TimedChunk(self._chunk(first, rows, name), rows.times)

    def _chunk(self, start: int, rows: Rows, name: str) -> Chunk:
        ids = rows.ids
        if isinstance(ids, pa.LargeStringArray):
            ids = ids.to_numpy(zero_copy_only=False)
        unusable, broken = (rows.states & bit > 0 for bit in (UNUSABLE, BROKEN))
        return Chunk(
            start,
            rows.values.view(self.schema.dtype).reshape(-1, *self.schema.row_shape),
            ids,
            name,
            broken=broken if broken.any() else None,
            usable=~unusable if unusable.any() else None,
            numbers=rows.numbers,
        )


def file_places(source: Source, numbers: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return the place (n,) in `source.files` of the file that holds each row of these numbers."""
    if len(source.files) == 1 or not len(source.starts):
        return np.zeros(len(numbers), np.int32)
    return (np.searchsorted(source.starts, numbers, side="right") - 1).astype(np.int32)
