"""Rows of the night before in front of each entity, and where all rows lie with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from storage.sources.chunks import Chunk
from storage.sources.series.key_values import NO_ENTITY
from storage.sources.series.order import SeriesIndex, SeriesRows
from storage.sources.series.statistics import runs_between

NIGHT_BEFORE = "rows of the night before"  # the fact of a source
Rows64 = NDArray[np.int64]


class Origins(NamedTuple):
    """Where rows (n,) come from: the night before or not, and the row among those."""

    from_before: NDArray[np.bool_]
    rows: Rows64


class Places:
    """Maps rows with context to rows of this night, and back.

    starts: (k + 1,) the first row of each entity, then that of the rows of no entity.
    """

    def __init__(self, index: SeriesIndex, n_rows: int, context: Rows64) -> None:
        own = np.concatenate([[0], np.cumsum(index.counts, dtype=np.int64)])
        before = np.concatenate([[0], np.cumsum(context, dtype=np.int64)])
        self.starts = own + before
        self.n_rows = n_rows + int(before[-1])
        self._own, self._before = own, before
        self._entities = np.append(index.order_of, np.int32(NO_ENTITY))
        self._context = np.append(context, 0)
        self._run_of = np.full(len(index.names), -1)
        self._run_of[index.order_of] = np.arange(len(index.order_of))

    @property
    def has_unplaced(self) -> bool:
        """Whether there are rows of no entity."""
        return bool(self.n_rows > self.starts[-1])

    def is_start(self, row: int) -> bool:
        """Return whether a row is the first of an entity."""
        return bool(self.starts[np.searchsorted(self.starts, row, side="right") - 1] == row)

    def rows_of(self, entity: int) -> tuple[int, int]:
        """Return the first row of an entity and the one after its last; (0, 0) without rows."""
        run = int(self._run_of[entity])
        return (0, 0) if run < 0 else (int(self.starts[run]), int(self.starts[run + 1]))

    def entities(self, start: int, stop: int) -> NDArray[np.int32]:
        """Return the entities of the rows of this night from `start` up to `stop`."""
        run, counts = runs_between(self._own, start, stop)
        return np.repeat(self._entities[run], counts)

    def original_rows(self, rows: Rows64) -> Rows64:
        """Return how many rows of this night come before each of these rows (n,)."""
        run = _run(self.starts, rows)
        own: Rows64 = self._own[run] + np.maximum(rows - self.starts[run] - self._context[run], 0)
        return own

    def of_rows(self, rows: Rows64) -> Rows64:
        """Return where rows (n,) of this night lie."""
        run = _run(self._own, rows)
        return np.asarray(rows + self._before[np.minimum(run + 1, len(self._before) - 1)])

    def origins(self, start: int, stop: int) -> Origins:
        """Return where the rows from `start` up to `stop` come from."""
        run = np.repeat(*runs_between(self.starts, start, stop))
        offset = np.arange(start, stop) - self.starts[run]
        from_before = offset < self._context[run]
        own = self._own[run] + offset - self._context[run]
        return Origins(from_before, np.where(from_before, self._before[run] + offset, own))

    def all_entities(self, start: int, stop: int) -> NDArray[np.int32]:
        """Return the entities of all rows from `start` up to `stop`."""
        run, counts = runs_between(self.starts, start, stop)
        return np.repeat(self._entities[run], counts)


def _run(starts: Rows64, rows: Rows64) -> NDArray[np.intp]:
    """Return which run each row (n,) is in; a run without rows is none."""
    return np.asarray(np.searchsorted(starts, rows, side="right") - 1)


@dataclass(frozen=True)
class ContextRows:
    """The last rows of the night before, by entity in tonight's order.

    counts: (k,) rows of each entity. chunk: these rows; None if there are none. facts: what was
    found, for a report.
    """

    counts: Rows64
    chunk: Chunk | None = None
    fingerprint: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return 0 if self.chunk is None else len(self.chunk.rows)


def weave(
    chunks: Iterable[Chunk], context: Chunk, places: Places, span: tuple[int, int]
) -> Iterator[Chunk]:
    """Put the rows of the night before in front of those of their entity, within a span of rows.

    chunks: of the rows of this night in that span.
    """
    start, stop = span
    for chunk in chunks:
        last = np.array([chunk.start + len(chunk.rows) - 1])
        end = int(places.of_rows(last)[0]) + 1
        yield _woven(chunk, context, places, (start, end))
        start = end
    if start < stop:  # rows of the night before, whose entity goes on beyond the span
        origins = places.origins(start, stop)
        entities = places.all_entities(start, stop)
        yield _with_entities(select_rows(context, origins.rows), start, entities)


def _woven(chunk: Chunk, context: Chunk, places: Places, span: tuple[int, int]) -> Chunk:
    from_before, rows = places.origins(*span)
    if not from_before.any():
        return replace(chunk, start=span[0])
    both = join_rows([chunk, select_rows(context, rows[from_before])])
    order = np.empty(len(rows), np.intp)
    order[~from_before] = np.arange(len(chunk.rows))
    order[from_before] = np.arange(len(chunk.rows), len(rows))
    return _with_entities(select_rows(both, order), span[0], places.all_entities(*span))


def _with_entities(chunk: Chunk, start: int, entities: NDArray[np.int32]) -> Chunk:
    assert chunk.series is not None, "rows in series order"
    return replace(chunk, start=start, series=replace(chunk.series, entities=entities))


def select_rows(chunk: Chunk, which: NDArray[np.intp] | NDArray[np.bool_]) -> Chunk:
    """Return rows of a chunk in series order."""
    assert chunk.series is not None, "rows in series order"
    return replace(
        chunk,
        rows=chunk.rows[which],
        ids=None if chunk.ids is None else chunk.ids[which],
        broken=None if chunk.broken is None else chunk.broken[which],
        usable=None if chunk.usable is None else chunk.usable[which],
        numbers=chunk.row_numbers[which],
        series=chunk.series.pick(which),
    )


def join_rows(chunks: Sequence[Chunk]) -> Chunk:
    """Return the rows of chunks in series order, one after another."""
    ids = [chunk.ids for chunk in chunks if chunk.ids is not None]
    return replace(
        chunks[0],
        rows=np.concatenate([chunk.rows for chunk in chunks]),
        ids=np.concatenate(ids) if len(ids) == len(chunks) else None,
        broken=_joined_masks([chunk.broken for chunk in chunks], chunks, default=False),
        usable=_joined_masks([chunk.usable for chunk in chunks], chunks, default=True),
        numbers=np.concatenate([chunk.row_numbers for chunk in chunks]),
        series=SeriesRows.join([chunk.series for chunk in chunks if chunk.series is not None]),
    )


def _joined_masks(
    masks: Sequence[NDArray[np.bool_] | None], chunks: Sequence[Chunk], *, default: bool
) -> NDArray[np.bool_] | None:
    if all(mask is None for mask in masks):
        return None
    pairs = zip(masks, chunks, strict=True)
    whole = [np.full(len(each.rows), default) if mask is None else mask for mask, each in pairs]
    return np.concatenate(whole)
