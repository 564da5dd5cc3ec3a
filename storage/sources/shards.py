"""Where a source is cut into shards."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from storage.sources.source import Source

LARGEST = 1.25  # times as many rows as a shard should have, where no border comes sooner


@dataclass(frozen=True)
class Shard:
    """Rows from `start` up to, not including, `stop`: the unit of storage and resume."""

    index: int
    start: int
    stop: int


def plan_shards(source: Source, shard_bytes: int) -> tuple[Shard, ...]:
    """Cut a source into shards of about `shard_bytes` of input, preferably at its borders.

    The plan depends on the source and `shard_bytes` only.
    """
    shard_rows = max(1, shard_bytes // max(1, source.schema.row_bytes))
    shards: list[Shard] = []
    start = 0
    while start < source.n_rows:
        stop = _shard_end(source, start, shard_rows)
        shards.append(Shard(len(shards), start, stop))
        start = stop
    return tuple(shards)


def _shard_end(source: Source, start: int, shard_rows: int) -> int:
    stop = start + shard_rows
    if stop >= source.n_rows:
        return source.n_rows
    borders = source.borders
    next_one = bisect_right(borders, start)
    last_one = bisect_right(borders, stop) - 1
    if next_one <= last_one:
        return borders[last_one]
    # What lies between borders may be read from its start by every shard that has a part of it
    whole = next_one < len(borders) and borders[next_one] <= start + LARGEST * shard_rows
    return borders[next_one] if whole else stop
