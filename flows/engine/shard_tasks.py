"""Group consecutive shards into tasks, so that each task is worth its overhead."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from storage.objects.paths import ObjectPath
from storage.sources import Chunk, Shard, Source
from storage.sources.series.order import SeriesRows

MAX_TASKS = 200  # a task run costs the Prefect server about 40 ms of CPU
TASK_BYTES = 2_000_000_000  # about half a minute of work on one core
CHUNK_BYTES = 8_000_000  # half as large ones cost a tenth more a row, larger ones no less
TABLE_ROWS = 256  # fewer rows of a wide table are slow: every column of every chunk costs time
# chunk-sized arrays alive at once: as read, scaled, reconstructed, and float64 copies in between
BUFFERS = 8


def group_shards(
    source: Source, shards: Sequence[Shard], *, at_most: int = MAX_TASKS
) -> list[tuple[Shard, ...]]:
    """Split `shards` into at most `at_most` groups of consecutive shards.

    A sequential source, which can only be read from its start, is one group. Shards that share
    what is fetched as a whole are in one group.
    """
    if source.sequential:
        return [tuple(shards)] if shards else []
    shard_bytes = max(1.0, source.n_bytes / max(1, len(shards)))
    worthwhile = min(int(TASK_BYTES // shard_bytes), len(shards) // 8)
    size = max(1, math.ceil(len(shards) / at_most), worthwhile)
    groups: list[tuple[Shard, ...]] = []
    group: list[Shard] = []
    for shard in shards:
        if len(group) >= size and not _is_inside(source, shard.start):
            groups.append(tuple(group))
            group = []
        group.append(shard)
    return [*groups, tuple(group)] if group else groups


def _is_inside(source: Source, row: int) -> bool:
    """Whether reading from `row` on fetches earlier rows as well: of an object, from a border.

    Of a local file, these are skipped at less cost.
    """
    if not (source.borders and isinstance(source.files[0], ObjectPath)):
        return False
    at = bisect_left(source.borders, row)
    return row < source.n_rows and (at == len(source.borders) or source.borders[at] != row)


def rows_per_chunk(source: Source, memory_bytes: int, *, batch: int = 1) -> int:
    """Rows per chunk, so that all buffers of one worker stay within `memory_bytes`.

    A multiple of `batch` rows if one batch fits: rows that only pad a batch cost as much.
    """
    row_bytes = source.schema.row_bytes
    fewest = max(batch, TABLE_ROWS if source.schema.columns else 1)
    worthwhile = max(CHUNK_BYTES, fewest * row_bytes)
    rows = max(1, min(worthwhile, memory_bytes // BUFFERS) // row_bytes)
    return rows - rows % batch if rows > batch else rows


def read_shards(
    source: Source, shards: Sequence[Shard], max_rows: int
) -> Iterator[tuple[Shard, Iterator[Chunk]]]:
    """Yield each of `shards` (ascending) with its chunks, to be consumed before the next shard.

    A sequential source is read once for all shards, and so is what is fetched as a whole.
    """
    for run in _read_together(source, shards):
        chunks = source.chunks(run[0].start, run[-1].stop, max_rows=max_rows)
        if len(run) == 1:
            yield run[0], chunks
        else:
            stream = _Stream(chunks)
            yield from ((shard, stream.between(shard.start, shard.stop)) for shard in run)


def _read_together(source: Source, shards: Sequence[Shard]) -> Iterator[Sequence[Shard]]:
    """Yield runs of shards that are read in one pass."""
    run: list[Shard] = []
    for shard in shards:
        is_next = bool(run) and run[-1].stop == shard.start
        if run and not (source.sequential or (is_next and _is_inside(source, shard.start))):
            yield run
            run = []
        run.append(shard)
    if run:
        yield run


class _Stream:
    """Chunks of one pass, cut again at shard boundaries."""

    def __init__(self, chunks: Iterator[Chunk]) -> None:
        self._chunks = chunks
        self._next: Chunk | None = None

    def between(self, start: int, stop: int) -> Iterator[Chunk]:
        """Yield chunks of the rows from `start` up to `stop`.

        Earlier rows are skipped, later rows are kept for the next call.
        """
        while (chunk := self._next or next(self._chunks, None)) is not None:
            self._next = None
            end = chunk.start + len(chunk.rows)
            if chunk.start < stop and end > start:
                yield chunk.cut(max(start, chunk.start), min(stop, end))
            if end > stop:
                self._next = chunk.cut(max(stop, chunk.start), end)
            if end >= stop:
                return


def join_chunks(chunks: Iterable[Chunk], max_rows: int) -> Iterator[tuple[Chunk, ...]]:
    """Group consecutive chunks of together at most `max_rows` rows, as many as possible.

    A group goes through the network at once, however few rows a file holds.
    """
    group: list[Chunk] = []
    rows = 0
    for chunk in chunks:
        if group and rows + len(chunk.rows) > max_rows:
            yield tuple(group)
            group, rows = [], 0
        group.append(chunk)
        rows += len(chunk.rows)
    if group:
        yield tuple(group)


def rows_of_group(group: Sequence[Chunk]) -> NDArray[np.generic]:
    """The rows of a group of chunks as one array (n, *row_shape); a single chunk is not copied."""
    return group[0].rows if len(group) == 1 else np.concatenate([chunk.rows for chunk in group])


def merge_chunks(group: Sequence[Chunk]) -> Chunk:
    """A group of chunks as one, which names the file of the first row."""
    if len(group) == 1:
        return group[0]
    ids = [chunk.ids for chunk in group if chunk.ids is not None]
    series = [chunk.series for chunk in group if chunk.series is not None]
    return replace(
        group[0],
        rows=rows_of_group(group),
        ids=np.concatenate(ids) if ids else None,
        numbers=np.concatenate([chunk.row_numbers for chunk in group]) if series else None,
        series=SeriesRows.join(series) if series else None,
        broken=None,
    )
