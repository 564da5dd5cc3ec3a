"""Rows sorted into a snapshot, and averaged on a regular grid of time if that is asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.sources.chunks import Chunk
from storage.sources.columns.schema import Schema
from storage.sources.series.key_values import NO_ENTITY, Ticks
from storage.sources.series.keys import KeyColumns, Keys
from storage.sources.series.order import TICKS_A_SECOND, SeriesOrder, SortSpace
from storage.sources.series.snapshot import SeriesSnapshot, SnapshotWriter, find_snapshot
from storage.sources.series.spool import (
    BROKEN,
    HELD,
    UNUSABLE,
    Rows,
    Spool,
    choose_splitters,
)
from storage.sources.series.statistics import SeriesStatistics
from storage.sources.source import Source

READ_ROWS = 65_536
RUN_ROWS, PIECE_ROWS = 262_144, 262_144
KEY_BYTES = 48  # of a row beside its values, about
COPIES = 2  # of the rows on disk: spooled in sorted runs, and in the snapshot
PIECES = 32  # of the memory; means are computed in float64, and in several steps
PARTS = 6  # of the memory; a part, its sorted copy, and what is made of it take most of it
ROUNDING = 1e-9  # of a step: 0.3 is the beginning of the fourth step of 0.1
MOST_HELD = 1_000  # steps in a row; a longer pause is one, whatever the gap


@dataclass(frozen=True)
class SortTarget:
    """Where a snapshot is written: the space, and the key by which it is found again."""

    space: SortSpace
    key: str


def sort_rows(
    original: Source, order: SeriesOrder, keys: Keys, target: SortTarget
) -> SeriesSnapshot:
    """Write the rows of a source in series order. Raises SourceError, WorkspaceError."""
    target.space.require(COPIES * original.n_rows * (original.schema.row_bytes + KEY_BYTES))
    ticks = 1 if keys.numbers else TICKS_A_SECOND
    schema = grid_schema(original.schema) if order.resample else original.schema
    writer = SnapshotWriter(target.space.folder, target.key, schema)
    statistics = SeriesStatistics(order.gap * ticks)
    grid = Resampler(original.schema, order.resample * ticks, order.gap * ticks)
    try:
        sorted_rows = _sorted_pieces(original, order, keys, (writer.path, target.space.memory))
        for rows in grid.resampled(sorted_rows) if order.resample else sorted_rows:
            placed = rows.entities != NO_ENTITY
            statistics.add(rows.entities[placed], rows.times[placed])
            writer.append(rows)
        counts = {"back": keys.back, "unplaced": keys.unplaced, "held": grid.held}
        writer.publish(statistics.index(keys.names, numbers=keys.numbers, **counts))
    finally:
        writer.close()
    snapshot = find_snapshot(target.space.folder, target.key)
    assert snapshot is not None, "it was written"
    return snapshot


def _sorted_pieces(
    original: Source, order: SeriesOrder, keys: Keys, where: tuple[Path, int]
) -> Iterator[Rows]:
    """Yield all rows in series order, a few at a time; those of no entity come last.

    where: the folder for the spool, and bytes of memory.
    """
    folder, memory = where
    row_bytes = original.schema.row_bytes + KEY_BYTES
    parts = math.ceil(PARTS * original.n_rows * row_bytes / memory)
    reader = _RowReader(original, order, keys)
    unplaced: list[Rows] = []
    with Spool(folder, choose_splitters(keys.sample, parts)) as spool:
        for run in _runs(reader, max(1, memory // PARTS // row_bytes)):
            placed = run.entities != NO_ENTITY
            if not placed.all():
                unplaced.append(run.take(np.flatnonzero(~placed)))
                run = run.take(np.flatnonzero(placed))
            spool.add(run)
        size = max(1, min(PIECE_ROWS, memory // PIECES // row_bytes))
        for rows in chain(spool.sorted_parts(), unplaced):
            for first in range(0, len(rows.times), size):
                yield rows.take(slice(first, first + size))


def _runs(reader: _RowReader, most: int) -> Iterator[Rows]:
    """Yield the rows of a source in its own order, joined where chunks are small."""
    waiting, held = list[Rows](), 0
    for rows in reader.rows(min(most, READ_ROWS)):
        if waiting and held + len(rows.times) > min(most, RUN_ROWS):
            yield Rows.join(waiting)
            waiting, held = [], 0
        waiting.append(rows)
        held += len(rows.times)
    if waiting:
        yield Rows.join(waiting)


class _RowReader:
    """Reads the rows of a source with what orders them, in its own order."""

    def __init__(self, source: Source, order: SeriesOrder, keys: Keys) -> None:
        self._source = source
        self._columns = KeyColumns(source, order)
        self._columns.numbers = keys.numbers
        self._places = {name: place for place, name in enumerate(keys.names)}
        self._by_code = np.empty(0, np.int32)

    def rows(self, max_rows: int) -> Iterator[Rows]:
        """Yield the rows; those with a gap or a broken cell are marked in their state."""
        self._source.tolerant = True
        if self._source.n_rows:
            chunks = self._source.unchecked_chunks(0, self._source.n_rows, max_rows=max_rows)
            yield from map(self._rows_of, chunks)

    def _rows_of(self, chunk: Chunk) -> Rows:
        count = len(chunk.rows)
        codes, times = self._columns.read(chunk.keys, chunk.start, count)
        states = np.zeros(count, np.uint8)
        if chunk.usable is not None:
            states[~chunk.usable] |= UNUSABLE
        if chunk.broken is not None:
            states[chunk.broken] |= BROKEN
        values = np.ascontiguousarray(chunk.rows).reshape(count, -1).view(np.uint8)
        return Rows(
            self._entities(codes), times, chunk.row_numbers, states, values, _storable(chunk.ids)
        )

    def _entities(self, codes: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the places (n,) among the sorted names; NO_ENTITY stays."""
        names = self._columns.names
        if len(self._by_code) != len(names) + 1:
            self._by_code = np.array([*map(self._places.__getitem__, names), NO_ENTITY], np.int32)
        return np.asarray(self._by_code[codes])


def _storable(ids: NDArray[np.generic] | None) -> NDArray[np.int64] | pa.LargeStringArray | None:
    return pa.array(ids, pa.large_string()) if ids is not None and ids.dtype.kind == "O" else ids


def grid_schema(schema: Schema) -> Schema:
    """Return the schema of means of rows: float32 stays, all else is float64."""
    dtype = "float32" if schema.dtype in ("float32", "float16") else "float64"
    return replace(schema, dtype=dtype, types=())


def _like(values: NDArray[Any], times: Ticks) -> Ticks:
    return values.astype(np.int64) if times.dtype.kind == "i" else values.astype(np.float64)


class Resampler:
    """Averages rows that arrive in series order on steps of a grid.

    Steps begin at multiples of their length since 1970, or since row 0. A step has the time of its
    beginning, and number and id of its first row; a gap in a column does not count in its mean, and
    rows with UNUSABLE only where a step has no others. An empty step repeats the row before it,
    marked as HELD, unless the pause is longer than the gap or than MOST_HELD steps: a sensor that
    is silent for a moment reports nothing new, while an invented gap would break every window.

    step, gap: in ticks.
    """

    def __init__(self, schema: Schema, step: float, gap: float) -> None:
        self._schema, self._grid = schema, grid_schema(schema)
        self._step = step
        self._most = int(min(MOST_HELD, gap / step)) if step else 0
        self._open: Rows | None = None  # the rows of the last step so far
        self._last: Rows | None = None  # the last whole step, which empty ones repeat
        self.held = 0

    def resampled(self, pieces: Iterable[Rows]) -> Iterator[Rows]:
        """Yield the steps of rows that come in pieces."""
        for rows in pieces:
            yield self._add(rows)
        if self._open is not None:
            yield self._steps(self._open)

    def _add(self, rows: Rows) -> Rows:
        """Return the steps that the next rows complete."""
        whole = rows if self._open is None else Rows.join([self._open, rows])
        bins = self._bins(whole)
        last = len(bins) - 1
        start = int(np.flatnonzero(self._begins(whole, bins))[-1]) if last >= 0 else 0
        self._open = whole.take(slice(start, None))
        return self._steps(whole.take(slice(0, start)))

    def _bins(self, rows: Rows) -> NDArray[np.int64]:
        if rows.times.dtype.kind == "i":
            return np.asarray(rows.times // int(self._step), np.int64)
        return np.floor(rows.times / self._step + ROUNDING).astype(np.int64)

    def _ticks(self, rows: Rows) -> int | float:
        """The step as the times count: whole nanoseconds are not to be rounded."""
        return int(self._step) if rows.times.dtype.kind == "i" else self._step

    def _begins(self, rows: Rows, bins: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which rows begin a step; each row without an entity is one."""
        changes = (np.diff(rows.entities) != 0) | (np.diff(bins) != 0)
        begins: NDArray[np.bool_] = np.r_[True, changes] | (rows.entities == NO_ENTITY)
        return begins

    def _steps(self, rows: Rows) -> Rows:
        bins = self._bins(rows)
        first = np.flatnonzero(self._begins(rows, bins)) if len(bins) else np.empty(0, np.intp)
        means = self._means(rows, first)
        states = np.bitwise_and.reduceat(rows.states, first) if len(first) else rows.states
        times = _like(bins[first] * self._ticks(rows), rows.times)
        steps = rows.take(first)._replace(times=times, states=states, values=means)
        return self._with_held(steps)

    def _means(self, rows: Rows, first: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Return the means (k, bytes of a row) of the rows from each of `first` (k,) on."""
        values = rows.values.view(self._schema.dtype).astype(np.float64)
        if len(first) == 0:
            return np.empty((0, self._grid.row_bytes), np.uint8)
        unusable = (rows.states & UNUSABLE).astype(bool)
        alone = np.bitwise_and.reduceat(rows.states, first) & UNUSABLE > 0
        lengths = np.diff(np.r_[first, len(values)])
        values[unusable & ~np.repeat(alone, lengths)] = np.nan
        known = ~np.isnan(values)
        counts = np.add.reduceat(known, first, axis=0, dtype=np.int64)
        with np.errstate(invalid="ignore"):  # of opposite infinities
            sums = np.add.reduceat(np.where(known, values, 0.0), first, axis=0)
        means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
        return np.ascontiguousarray(means, self._grid.dtype).view(np.uint8)

    def _with_held(self, steps: Rows) -> Rows:
        if not len(steps.times):
            return steps
        first = 0 if self._last is None else 1
        whole = steps if self._last is None else Rows.join([self._last, steps])
        self._last = steps.take(slice(len(steps.times) - 1, None))
        empty = np.diff(self._bins(whole)) - 1
        fits = (np.diff(whole.entities) == 0) & (empty < self._most) & (whole.entities[1:] >= 0)
        repeats = np.r_[1 + np.where(fits & (empty > 0), empty, 0), 1]
        if repeats.max() == 1:
            return steps
        index = np.repeat(np.arange(len(whole.times)), repeats)
        offset = np.arange(len(index)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        held = whole.take(index)
        times = _like(held.times + offset * self._ticks(held), held.times)
        states = held.states | np.where(offset > 0, HELD, 0).astype(np.uint8)
        self.held += int((offset > 0).sum())
        return held._replace(times=times, states=states).take(slice(first, None))
