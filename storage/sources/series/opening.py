"""Open rows in series order: where they are if they lie in it, else sorted into a snapshot."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from storage.errors import DamagedError, SourceError
from storage.files.locks import lock
from storage.objects.paths import located
from storage.sources import (
    NUMBER,
    Chunk,
    Reading,
    Source,
    find_files,
    list_unread,
    named_features,
    open_sound_files,
    open_source,
)
from storage.sources.digests import sha256_text
from storage.sources.input_files import table_format
from storage.sources.series.context import NIGHT_BEFORE, ContextRows, join_rows, select_rows
from storage.sources.series.keys import read_keys
from storage.sources.series.order import NightBefore, SeriesOrder, SortSpace
from storage.sources.series.ordered_rows import OrderedRows, RowsInPlace, RowsOfSnapshot
from storage.sources.series.snapshot import (
    FORMAT_VERSION,
    LOCK,
    delete_unfinished,
    find_snapshot,
    mark_used,
)
from storage.sources.series.sorting import SortTarget, sort_rows
from storage.sources.series.source import SeriesSource
from storage.sources.tables import TableSource

FAR_ROWS = 65_536
NO_NUMBER = "no number; with [series], windows see numbers only"


def open_series(
    path: Path | str,
    order: SeriesOrder,
    space: SortSpace,
    *,
    before: NightBefore | None = None,
    only_sound: bool = False,
    **how: Unpack[Reading],
) -> SeriesSource:
    """Open the rows at `path` in series order.

    Of a table, columns of numbers and Booleans are read, but not those that order the rows. before:
    the input whose last rows are read along; what cannot be read of it is left out, and a fact says
    so. only_sound: whether to leave out broken files.

    Raises like `open_source`, and SourceError if the columns of the order do not order the rows.
    """
    path = located(path)
    original = open_numbers(path, order, how, only_sound=only_sound)
    rows = _ordered(original, order, space)
    none = ContextRows(np.zeros(len(rows.index.counts), np.int64))
    source = SeriesSource(original, order, rows, none)
    if before is None:
        return source
    context = _context(source, before, space, {**how, **_same_columns(original)})
    return SeriesSource(original, order, rows, context)


def _same_columns(source: Source) -> Reading:
    if not source.schema.columns:
        return {}
    columns = list(source.schema.columns)
    return {"columns": columns, "kinds": dict.fromkeys(columns, (NUMBER,))}


def open_numbers(
    path: Path, order: SeriesOrder, how: Reading, *, only_sound: bool = False
) -> Source:
    """Open the original rows, not in series order; what orders those of a table is read along.

    Raises like `open_series`.
    """
    open_rows = open_sound_files if only_sound else open_source
    if not table_format(find_files(path)[0]):
        _require_no_columns(path, order)
        _require_whole_steps(path, order)
        return open_rows(path, **how)
    if not order.time:
        raise SourceError(f"{path}: expected series.time, the column that orders the rows, got ''")
    how = _without_keys(how, order)
    source = open_rows(path, **how)
    assert isinstance(source, TableSource), "only tables have columns"
    others = {
        feature.name
        for feature in named_features(source.schema)
        if feature.kind != NUMBER and not source.holds_switches(feature.name)
    }
    if source.schema.kinds:
        source = _open_numbers_of(source, others, how, only_sound=only_sound)
    roles = {order.time: "orders the rows of series", order.entity_column: "names the series"}
    unread = {name: why for name, why in source.unread.items() if name not in roles}
    keys = {name: why for name, why in roles.items() if name}
    source.unread = {**keys, **unread, **dict.fromkeys(sorted(others), NO_NUMBER)}
    source.read_keys(order.columns)
    return source


def _open_numbers_of(
    source: TableSource, others: set[str], how: Reading, *, only_sound: bool
) -> TableSource:
    """Open a source again, without columns that are no numbers, and Booleans as numbers."""
    names = [name for name in source.schema.names if name not in others]
    if not names:
        listed = list_unread({**source.unread, **dict.fromkeys(sorted(others), NO_NUMBER)})
        raise SourceError(f"{source.path}: no column that a window can see: {listed}")
    ignored = {name: kinds for name, kinds in how.get("kinds", {}).items() if not kinds}
    kinds = {**ignored, **dict.fromkeys(names, (NUMBER,))}
    chosen: Reading = {**how, "columns": names, "kinds": kinds}
    open_rows = open_sound_files if only_sound else open_source
    again = open_rows(source.path, **chosen)
    assert isinstance(again, TableSource), "the same files"
    again.unread = {**source.unread}
    again.not_features = source.not_features
    return again


def _without_keys(how: Reading, order: SeriesOrder) -> Reading:
    """Read the columns of the order as no features."""
    columns = [name for name in how.get("columns", ()) if name not in order.columns]
    kinds = {**how.get("kinds", {}), **dict.fromkeys(order.columns, ())}
    return {**how, "columns": columns, "kinds": kinds}


def _require_no_columns(path: Path, order: SeriesOrder) -> None:
    if order.columns:
        raise SourceError(
            f"{path}: expected a table, since [series] names the columns "
            f"{', '.join(order.columns)}; got an array, whose rows are steps in their order: "
            "remove series.time and series.entity"
        )


def _require_whole_steps(path: Path, order: SeriesOrder) -> None:
    if order.resample % 1:
        raise SourceError(
            f"{path}: expected a whole number of steps for series.resample, since the rows of an "
            f"array are steps, got {order.resample:g}"
        )


def _ordered(original: Source, order: SeriesOrder, space: SortSpace) -> OrderedRows:
    """Return the rows in series order; of rows in another order, a snapshot is written once."""
    key = sha256_text(f"{FORMAT_VERSION} {original.fingerprint()} {order} {original.facts}")
    if snapshot := find_snapshot(space.folder, key):
        mark_used(snapshot)
        return RowsOfSnapshot(original, snapshot)
    keys = read_keys(original, order)
    in_place = not (original.sequential or order.resample) or not original.n_rows
    if keys.index is not None and in_place:
        if isinstance(original, TableSource):
            original.read_keys([] if keys.times else [order.time])
        return RowsInPlace(original, order, keys.index, keys.times)
    with lock(space.folder / LOCK, wait=math.inf):
        delete_unfinished(space.folder)
        snapshot = find_snapshot(space.folder, key)  # by another process meanwhile
        snapshot = snapshot or sort_rows(original, order, keys, SortTarget(space, key))
    return RowsOfSnapshot(original, snapshot)


def _context(
    source: SeriesSource, before: NightBefore, space: SortSpace, how: Reading
) -> ContextRows:
    """Read the last rows of the night before, of the entities of this night."""
    none = ContextRows(np.zeros(len(source.places.starts) - 1, np.int64))
    try:
        earlier = open_series(before.path, source.order, space, only_sound=True, **how)
        return _last_rows(source, earlier, before.rows)
    except (SourceError, DamagedError) as error:
        return replace(none, facts={NIGHT_BEFORE: f"not read along: {error}"})


def _last_rows(source: SeriesSource, earlier: SeriesSource, most: int) -> ContextRows:
    """Return the last rows of the night before, at most `most` of each entity of this night.

    Only those count that lie before the first row of this night. Raises SourceError.
    """
    index = source.index
    if earlier.schema.row_shape != source.schema.row_shape or earlier.ticks != source.ticks:
        raise SourceError(f"{earlier.path}: its rows or times are not of the kind of this night's")
    spans = [earlier.rows_of(index.names[entity]) for entity in index.order_of]
    starts, ends = np.array(spans, np.int64).reshape(-1, 2).T
    counts = np.minimum(ends - starts, most)
    runs = np.repeat(np.arange(len(counts)), counts)
    wanted = np.repeat(ends - np.cumsum(counts), counts) + np.arange(len(runs))
    if not len(wanted):
        return ContextRows(counts, facts={NIGHT_BEFORE: "none: it has none of these entities"})
    chunk = _as_context(_rows_at(earlier, wanted), source, earlier)
    assert chunk.series is not None, "rows in series order"
    past = chunk.series.times < index.firsts[runs]
    counts = np.bincount(runs[past], minlength=len(counts))
    facts = {NIGHT_BEFORE: f"{past.sum():,}, of {(counts > 0).sum():,} of the entities"}
    found = select_rows(chunk, past) if past.any() else None
    return ContextRows(counts, found, f"{earlier.fingerprint()} {most}", facts)


def _as_context(chunk: Chunk, source: SeriesSource, earlier: SeriesSource) -> Chunk:
    """Mark rows of the night before as such; an array goes on where theirs ended."""
    assert chunk.series is not None, "rows in series order"
    times = chunk.series.times
    if not source.order.time:
        times = times - earlier.n_rows * int(source.order.resample or 1)
    count = len(chunk.rows)
    marks = np.ones(count, np.bool_), np.full(count, -1, np.int32)
    series = replace(chunk.series, times=times, context=marks[0], files=marks[1])
    return replace(chunk, rows=chunk.rows.astype(source.schema.dtype), series=series)


def _rows_at(source: SeriesSource, wanted: NDArray[np.int64]) -> Chunk:
    """Return rows of a source by their numbers (n,); parts of it that are far apart are skipped."""
    source.tolerant = True
    order = np.argsort(wanted)
    numbers = wanted[order]
    apart = np.flatnonzero(np.diff(numbers) > FAR_ROWS) + 1
    found = list[Chunk]()
    for part in np.split(numbers, apart):
        for chunk in source.chunks(int(part[0]), int(part[-1]) + 1, max_rows=FAR_ROWS):
            end = chunk.start + len(chunk.rows)
            first, last = np.searchsorted(part, [chunk.start, end])
            found.append(select_rows(chunk, part[first:last] - chunk.start))
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    return select_rows(join_rows(found), back)
