"""A source whose rows are in series order, those of the night before in front of each entity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.sources.chunks import Chunk
from storage.sources.digests import sha256_text
from storage.sources.series.context import ContextRows, Places, weave
from storage.sources.series.key_values import LARGEST, NO_ENTITY, Ticks
from storage.sources.series.keys import why_unplaced
from storage.sources.series.order import SeriesFacts, SeriesOrder, SeriesRows
from storage.sources.series.ordered_rows import OrderedRows, TimedChunk, file_places
from storage.sources.series.statistics import begins_segment
from storage.sources.source import Origin, Source


class SeriesSource(Source):
    """Rows by entity, then by time; `Chunk.series` says where each row lies in its series.

    `Chunk.start` counts rows in this order, those of the night before included. `row_numbers` and
    `locate` count rows of the original source, so that scores refer to the user's rows. Rows
    without a time or an entity come last, and are not usable: in clean data they are refused, or,
    with missing = "impute", marked as broken.

    original: the source in its own order. order: how rows form series. index: where the rows of
    this night lie. context: the rows of the night before. places: where all of them lie.
    """

    def __init__(
        self, original: Source, order: SeriesOrder, rows: OrderedRows, context: ContextRows
    ) -> None:
        self.original, self.order, self.context = original, order, context
        self._ordered, self.index = rows, rows.index
        self.places = Places(rows.index, rows.n_rows, context.counts)
        origin = Origin(original.path, original.files, original.missing)
        super().__init__(origin, rows.schema, self.places.n_rows)
        self.unread, self.left_out = original.unread, original.left_out
        self.broken, self.text_ids = original.broken, original.text_ids
        self.not_features, self.dated = original.not_features, original.dated
        self.borders = self._all_borders()
        shown = self.series.shown(in_seconds=not self.index.numbers)
        self.facts = {**original.facts, **shown, **context.facts}

    @property
    def entities(self) -> tuple[str, ...]:
        """The names of the entities, sorted; `SeriesRows.entities` counts in them."""
        return self.index.names

    @property
    def series(self) -> SeriesFacts:
        """What all rows of this night say of their series."""
        return self.index.facts

    @property
    def ticks(self) -> int:
        """Ticks of `SeriesRows.times` in the unit of `SeriesOrder.gap`."""
        return self.index.ticks

    @property
    def has_timestamps(self) -> bool:
        """Whether times are nanoseconds since 1970, not numbers of an unknown unit or of rows."""
        return bool(self.order.time) and not self.index.numbers

    @property
    def span(self) -> tuple[float, float]:
        """The ticks at which the first series begins and the last one ends; (0, 0) without rows."""
        if not len(self.index.counts):
            return 0.0, 0.0
        return float(self.index.firsts.min()), float((self.index.firsts + self._lengths).max())

    @property
    def at_once(self) -> float:
        """How many series run at the same time, on average: 1 where one follows another."""
        first, last = self.span
        return max(1.0, float(self._lengths.sum()) / (last - first)) if last > first else 1.0

    @property
    def _lengths(self) -> NDArray[np.float64]:
        """How many ticks each series lasts, in the order of the index."""
        step = self.series.typical_step * self.ticks
        return np.asarray(self.index.counts * step, np.float64)

    @cached_property
    def _names(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.entities)}

    def rows_of(self, entity: str) -> tuple[int, int]:
        """Return the first row of an entity, and the one after its last; (0, 0) without rows."""
        return self.places.rows_of(self._names[entity]) if entity in self._names else (0, 0)

    def fingerprint(self) -> str:
        """Hash what the original source hashes, the order, and the rows of the night before."""
        parts = [self.original.fingerprint(), str(self.order), self.context.fingerprint]
        return sha256_text("\n".join(parts))

    def _locate(self, row: int) -> tuple[Path, int]:
        return self.original.locate(row)

    def _all_borders(self) -> list[int]:
        borders = np.array([*self._ordered.borders], np.int64)
        inside = borders[(borders > 0) & (borders < self._ordered.n_rows)]
        rows = np.union1d(self.places.of_rows(inside), self.places.starts)
        return [int(row) for row in rows if 0 < row < self.n_rows]

    def _read(self, start: int, stop: int, max_rows: int) -> Iterator[Chunk]:
        self.original.tolerant = self.tolerant
        begin = start - 1 if start and not self.places.is_start(start) else start
        before: SeriesRows | None = None
        for chunk in self._chunks_from(begin, stop, max_rows):
            assert chunk.series is not None, "rows in series order"
            marked = replace(chunk, series=self._with_starts(chunk.series, before))
            before = chunk.series.pick(slice(-1, None))
            end = chunk.start + len(chunk.rows)
            if end > start:
                yield marked.cut(max(start, chunk.start), end) if chunk.start < start else marked

    def _chunks_from(self, start: int, stop: int, max_rows: int) -> Iterator[Chunk]:
        first, last = self.places.original_rows(np.array([start, stop])).tolist()
        chunks = map(self._placed, self._ordered.read(first, last, max_rows))
        if self.context.chunk is None:
            yield from chunks
            return
        for chunk in weave(chunks, self.context.chunk, self.places, (start, stop)):
            end = chunk.start + len(chunk.rows)
            for row in range(chunk.start, end, max_rows):
                yield chunk.cut(row, min(row + max_rows, end))

    def _placed(self, found: TimedChunk) -> Chunk:
        """Say where rows lie in their series, but not yet where segments begin."""
        chunk, times = found
        none = np.zeros(len(times), np.bool_)
        entities = self.places.entities(chunk.start, chunk.start + len(times))
        files = file_places(self.original, chunk.row_numbers)
        unplaced = self._unplaced(entities)
        if unplaced.any():
            usable = ~unplaced if chunk.usable is None else chunk.usable & ~unplaced
            chunk = replace(chunk, usable=usable)
        series = SeriesRows(times, entities, none, none, files)
        return replace(chunk, numbers=chunk.row_numbers, series=series, keys=None)

    def _with_starts(self, rows: SeriesRows, before: SeriesRows | None) -> SeriesRows:
        gap = self._gap(rows.times)
        starts = np.ones(len(rows.times), np.bool_)
        starts[1:] = begins_segment(rows.entities, rows.times, gap)
        if before is not None:
            both = SeriesRows.join([before, rows.pick(slice(0, 1))])
            starts[:1] = begins_segment(both.entities, both.times, gap)
        return replace(rows, starts=starts | self._unplaced(rows.entities))

    def _gap(self, times: Ticks) -> float:
        """Return the gap in ticks, whole for whole times, which are compared faster."""
        gap = self.order.gap * self.ticks
        return gap if times.dtype.kind == "f" else int(min(gap, LARGEST))

    def _unplaced(self, entities: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return which rows have no entity: (n,), or (1,) if no row of the source is such."""
        return np.asarray(entities == NO_ENTITY if self.places.has_unplaced else [False])

    def _bad_values(self, chunk: Chunk) -> NDArray[np.bool_]:
        """Return values that a network cannot be given; those of the night before are passed."""
        bad = super()._bad_values(chunk)
        if chunk.series is not None:
            passed = chunk.series.context | self._unplaced(chunk.series.entities)
            if passed.any():
                bad[passed] = False
        return bad

    def _checked(self, chunk: Chunk, pass_broken: bool) -> Chunk:
        if chunk.series is not None and chunk.usable is not None:
            refused = ~chunk.usable & ~chunk.series.context
            unplaced = chunk.series.entities == NO_ENTITY
            if self.missing == "impute":
                broken = unplaced if chunk.broken is None else chunk.broken | unplaced
                chunk = replace(chunk, broken=broken if broken.any() else None)
            elif refused.any():
                raise SourceError(self.why_unusable(chunk, int(np.flatnonzero(refused)[0])))
        return super()._checked(chunk, pass_broken)

    def why_unusable(self, chunk: Chunk, index: int) -> str:
        """Name file, row, and if it can be told column of an unusable row of a chunk."""
        number = int(chunk.row_numbers[index])
        if chunk.series is not None and chunk.series.entities[index] == NO_ENTITY:
            return why_unplaced(self.original, self.order, number)
        return self.original.why_unusable(_numbered(chunk, index), index)

    def _not_finite(self, chunk: Chunk, index: tuple[int, ...]) -> SourceError:
        return self.original._not_finite(_numbered(chunk, index[0]), index)


def _numbered(chunk: Chunk, index: int) -> Chunk:
    """Return a chunk whose row `index` counts as in the original source."""
    start = int(chunk.row_numbers[index]) - index
    return replace(chunk, start=start, numbers=None, series=None)
