"""Which shards one task does: runs of consecutive shards, so that a task is worth its overhead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from storage.sources import Chunk, Shard, Source

MAX_TASKS = 200  # a task run costs Prefect's server some 40 ms of CPU
TASK_BYTES = 2_000_000_000  # half a minute of work at the pace of one core
CHUNK_BYTES = 4_000_000  # larger ones are no faster, and leave holes in the heap
# arrays of a chunk's size alive at once: as read, scaled, reconstructed, and the float64 copies
# between
BUFFERS = 8


def group_shards(
    source: Source, shards: Sequence[Shard], *, at_most: int = MAX_TASKS
) -> list[tuple[Shard, ...]]:
    """Cut `shards` into runs of consecutive ones.

    A source that can only be read from its start is one run.
    """
    if source.sequential:
        return [tuple(shards)] if shards else []
    per_shard = source.n_bytes / max(1, len(shards))
    size = max(
        1, -(-len(shards) // at_most), min(int(TASK_BYTES // max(1.0, per_shard)), len(shards) // 8)
    )
    return [tuple(shards[first : first + size]) for first in range(0, len(shards), size)]


def rows_per_chunk(source: Source, memory_bytes: int, *, batch: int = 1) -> int:
    """Rows read at once so that all buffers of one worker stay within `memory_bytes`.

    Whole batches of so many rows where one fits.
    """
    rows = max(1, min(CHUNK_BYTES, memory_bytes // BUFFERS) // source.schema.row_bytes)
    return rows - rows % batch if rows > batch else rows


def read_shards(
    source: Source, shards: Sequence[Shard], max_rows: int
) -> Iterator[tuple[Shard, Iterator[Chunk]]]:
    """Each of `shards` (ascending) with its chunks, to be used up before the next is asked for.

    A source that can only be read from its start is read once for all of them.
    """
    if not source.sequential:
        yield from (
            (shard, source.chunks(shard.start, shard.stop, max_rows=max_rows)) for shard in shards
        )
    elif shards:
        stream = _Stream(source.chunks(shards[0].start, shards[-1].stop, max_rows=max_rows))
        yield from ((shard, stream.between(shard.start, shard.stop)) for shard in shards)


class _Stream:
    """Chunks of one pass, cut anew at the borders of shards."""

    def __init__(self, chunks: Iterator[Chunk]) -> None:
        self._chunks = chunks
        self._next: Chunk | None = None

    def between(self, start: int, stop: int) -> Iterator[Chunk]:
        """The chunks of the rows from `start` up to `stop`.

        Rows before are passed over, rows after are kept for the next call.
        """
        while (chunk := self._next or next(self._chunks, None)) is not None:
            self._next = None
            end = chunk.start + len(chunk.rows)
            if chunk.start < stop and end > start:
                yield cut_chunk(chunk, max(start, chunk.start), min(stop, end))
            if end > stop:
                self._next = cut_chunk(chunk, max(stop, chunk.start), end)
            if end >= stop:
                return


def cut_chunk(chunk: Chunk, start: int, stop: int) -> Chunk:
    """The rows of a chunk from row number `start` up to `stop`."""
    part = slice(start - chunk.start, stop - chunk.start)
    return replace(
        chunk,
        start=start,
        rows=chunk.rows[part],
        ids=None if chunk.ids is None else chunk.ids[part],
    )
