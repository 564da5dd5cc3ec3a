"""The first pass over the columns that order rows: are the rows in series order already?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.sources.columns.kinds import is_text
from storage.sources.columns.written_values import are_unclear
from storage.sources.input_files import relative_names
from storage.sources.series.key_values import (
    LARGEST,
    NO_ENTITY,
    EntityCodes,
    Ticks,
    are_numbers,
    orders_rows,
    read_times,
    sorted_ranks,
)
from storage.sources.series.order import (
    FILE,
    TICKS_A_SECOND,
    SeriesFacts,
    SeriesIndex,
    SeriesOrder,
)
from storage.sources.series.statistics import RandomSample, SeriesStatistics, TimeRuns
from storage.sources.source import Source
from storage.sources.tables import TableSource

MOST_UNPLACED = 0.5  # share of the rows; with more, a column is none of times or of entities


@dataclass(frozen=True)
class Keys:
    """What orders the rows of a source.

    names: of the entities, sorted. numbers: whether times are numbers. index: of the rows, if they
    are in series order. back: rows whose time lies before that of the row before them of their
    entity. unplaced: rows without a time or an entity. sample: entities, times, and row numbers of
    some rows. times: of rows in series order, where they are regular.
    """

    names: tuple[str, ...]
    numbers: bool
    index: SeriesIndex | None
    back: int
    unplaced: int
    sample: tuple[NDArray[Any], ...]
    times: TimeRuns | None = None


class KeyColumns:
    """Reads what orders rows: entities as they first appear, times in ticks.

    numbers: whether the times are numbers; None while nothing tells.
    """

    def __init__(self, source: Source, order: SeriesOrder) -> None:
        self._source, self._order = source, order
        self._codes = EntityCodes()
        self.numbers: bool | None = None if order.time else True

    @property
    def names(self) -> list[str]:
        """The entities as they first appeared."""
        if self._order.entity == FILE:
            return relative_names(self._source.path, [*self._source.files])
        return self._codes.names if self._order.entity else [""]

    def read(
        self, columns: pa.RecordBatch | None, start: int, count: int
    ) -> tuple[NDArray[np.int32], Ticks]:
        """Return entities and times (n,) of `count` rows from row `start` of the source on.

        The entity is NO_ENTITY if it or the time is a gap.
        """
        entities = self._entities(columns, start, count)
        if not self._order.time or columns is None:
            return entities, np.arange(start, start + count)
        column = columns.column(self._order.time)
        if self.numbers is None:
            self.numbers = are_numbers(column)
        found = read_times(column, numbers=bool(self.numbers))
        return np.where(found.known, entities, np.int32(NO_ENTITY)), found.values

    def _entities(
        self, columns: pa.RecordBatch | None, start: int, count: int
    ) -> NDArray[np.int32]:
        if self._order.entity_column and columns is not None:
            return self._codes.codes(columns.column(self._order.entity_column))
        if self._order.entity == FILE and len(self._source.starts):
            rows = np.arange(start, start + count)
            return (np.searchsorted(self._source.starts, rows, side="right") - 1).astype(np.int32)
        return np.zeros(count, np.int32)


def read_keys(source: Source, order: SeriesOrder) -> Keys:
    """Read what orders the rows of a source, once. Raises SourceError."""
    if not isinstance(source, TableSource):
        return _array_keys(source, order)
    _require_times(source, order)
    scan = _KeyScan(source, order)
    for start, columns in _numbered(source, order):
        scan.add(columns, start)
    scan.require_placed()
    return scan.keys()


def why_unplaced(source: Source, order: SeriesOrder, row: int) -> str:
    """Say why a row of a table has no place in a series: its entity or its time is a gap."""
    assert isinstance(source, TableSource), "rows of arrays have a place"
    if order.entity_column:
        cell = source.cell_of(row, order.entity_column)
        if EntityCodes().codes(cell)[0] == NO_ENTITY:
            return source.why_no_key(row, order.entity_column, expected="the name of an entity")
    cell = source.cell_of(row, order.time).drop_null()
    if len(cell) and is_text(cell.type) and are_unclear(cell):
        fix = f"does the month or the day come first? {source.clear_days}"
        return source.why_no_key(row, order.time, expected="a time", fix=fix)
    return source.why_no_key(row, order.time, expected="a time")


def _array_keys(source: Source, order: SeriesOrder) -> Keys:
    """Return the keys of an array: the row number is the time, so that no row need be read."""
    reader, n_rows = KeyColumns(source, order), source.n_rows
    step = 1.0 if n_rows > 1 else 0.0
    segments = n_rows if order.gap < step else min(n_rows, 1)
    facts = SeriesFacts(1, segments, step, irregular=0.0)
    rows = np.linspace(0, n_rows, 10_000, endpoint=False).astype(np.int64)
    sample = (np.zeros(len(rows), np.int32), rows, rows)
    one, count = np.zeros(1, np.int32), np.array([n_rows], np.int64)
    index = SeriesIndex(tuple(reader.names), one, count, np.zeros(1, np.int64), True, facts)
    return Keys(index.names, True, index, 0, 0, sample)


def _numbered(source: TableSource, order: SeriesOrder) -> Iterator[tuple[int, pa.RecordBatch]]:
    start = 0
    for columns in source.column_batches(order.columns):
        yield start, columns
        start += columns.num_rows


def _require_times(source: TableSource, order: SeriesOrder) -> None:
    for kind in dict.fromkeys(source.column_types(order.time)):
        if not orders_rows(kind):
            raise SourceError(
                f"{source.path}: column {order.time}: expected times or numbers, which order "
                f"rows, got {kind}; set series.time to another column"
            )


class _KeyScan:
    def __init__(self, source: TableSource, order: SeriesOrder) -> None:
        self._source, self._order = source, order
        self._reader = KeyColumns(source, order)
        self._sample, self._statistics = RandomSample(), SeriesStatistics(np.inf)
        self._last = np.empty(0)  # time of each entity's last row
        self._in_order, self._latest = True, 0
        self._back = self._unplaced = 0
        self._first_unplaced = -1

    def add(self, columns: pa.RecordBatch, start: int) -> None:
        """Add the next rows."""
        entities, times = self._reader.read(columns, start, columns.num_rows)
        numbers = np.arange(start, start + len(times))
        placed = entities != NO_ENTITY
        if not placed.all():
            self._note_unplaced(numbers[~placed])
            entities, times, numbers = entities[placed], times[placed], numbers[placed]
        if not len(times):
            return
        self._grow(times.dtype)
        self._back += self._steps_back(entities, times)
        self._sample.add(entities, times, numbers)
        follows = entities[0] >= self._latest and bool((np.diff(entities) >= 0).all())
        self._in_order &= follows and not self._back
        self._latest = int(entities[-1])
        if self._in_order:
            self._statistics.gap = self._order.gap * self._ticks
            self._statistics.add(entities, times)

    @property
    def _ticks(self) -> int:
        return 1 if self._reader.numbers else TICKS_A_SECOND

    def _note_unplaced(self, rows: NDArray[np.int64]) -> None:
        if not self._unplaced:
            self._first_unplaced = int(rows[0])
        self._unplaced += len(rows)

    def _grow(self, dtype: np.dtype[np.generic]) -> None:
        least = -LARGEST if dtype.kind == "i" else -np.inf
        new = np.full(len(self._reader.names) - len(self._last), least, dtype)
        self._last = np.append(self._last.astype(dtype), new)

    def _steps_back(self, entities: NDArray[np.int32], times: Ticks) -> int:
        """Count rows whose time lies before that of the row before them of their entity."""
        if not (entities[1:] >= entities[:-1]).all():
            order = np.argsort(entities, kind="stable")
            entities, times = entities[order], times[order]
        first = np.flatnonzero(np.r_[True, entities[1:] != entities[:-1]])
        back = times[1:] < times[:-1]
        back[first[1:] - 1] = False
        count = int(back.sum() + (times[first] < self._last[entities[first]]).sum())
        self._last[entities[first]] = times[np.r_[first[1:], len(times)] - 1]
        return count

    def require_placed(self) -> None:
        """Raise SourceError if too many rows have no time or no entity."""
        n_rows = self._source.n_rows
        if self._unplaced > MOST_UNPLACED * n_rows:
            why = why_unplaced(self._source, self._order, self._first_unplaced)
            raise SourceError(
                f"{why}; {self._unplaced:,} of {n_rows:,} rows have no time or no entity: if all "
                "are like that, set series.time and series.entity to columns that hold them"
            )

    def keys(self) -> Keys:
        """Return what was found."""
        ranks, numbers = sorted_ranks(self._reader.names), bool(self._reader.numbers)
        names = tuple(sorted(self._reader.names))
        index = None
        if self._in_order and not self._unplaced:
            found = self._statistics.index(names, numbers=numbers)
            index = replace(found, order_of=ranks[found.order_of])
        sample = self._sample.columns() if len(self._last) else _nothing()
        sample = (ranks[sample[0].astype(np.int64)], *sample[1:])
        times = self._statistics.time_runs() if index else None
        return Keys(names, numbers, index, self._back, self._unplaced, sample, times)


def _nothing() -> tuple[NDArray[Any], ...]:
    return np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int64)
