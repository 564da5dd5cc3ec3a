"""Rows of series as pieces of one segment each, without what cannot be judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from storage.sources import Chunk
from storage.sources.series.order import SeriesRows
from storage.sources.series.source import SeriesSource


@dataclass(frozen=True)
class RowRange:
    """Consecutive rows in series order, from number `start` on.

    rows: (n, d); NaN where a value is missing or infinite. usable: (n,) whether a row is judged.
    numbers, ids: as in the original source; ids are None if the numbers are the ids.
    """

    start: int
    rows: NDArray[np.generic]
    series: SeriesRows
    usable: NDArray[np.bool_]
    numbers: NDArray[np.int64]
    ids: NDArray[np.generic] | None

    def spans(self) -> Iterator[tuple[int, int]]:
        """Yield where the parts of segments begin and end, of entities that are known."""
        begins = self.series.starts.copy()
        begins[:1] = True
        edges = [*np.flatnonzero(begins).tolist(), len(begins)]
        for first, stop in pairwise(edges):
            if self.series.entities[first] >= 0:
                yield first, stop


def read_range(source: SeriesSource, start: int, stop: int, max_rows: int) -> RowRange:
    """Read the rows from number `start` up to `stop`; the source is tolerant."""
    return join_range(list(source.chunks(start, stop, max_rows=max_rows)))


def join_range(chunks: Sequence[Chunk]) -> RowRange:
    """Return consecutive chunks, at least one, as one range."""
    ids = [chunk.ids for chunk in chunks if chunk.ids is not None]
    return RowRange(
        start=chunks[0].start,
        rows=without_infinities(np.concatenate([_flat(chunk) for chunk in chunks])),
        series=SeriesRows.join([chunk.series for chunk in chunks if chunk.series is not None]),
        usable=np.concatenate([_usable(chunk) for chunk in chunks]),
        numbers=np.concatenate([chunk.row_numbers for chunk in chunks]),
        ids=np.concatenate(ids) if ids else None,
    )


def _flat(chunk: Chunk) -> NDArray[np.generic]:
    return chunk.rows.reshape(len(chunk.rows), -1)


def _usable(chunk: Chunk) -> NDArray[np.bool_]:
    return np.ones(len(chunk.rows), np.bool_) if chunk.usable is None else chunk.usable


def without_infinities(rows: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return rows (n, d) with NaN for infinities."""
    if rows.dtype.kind != "f":
        return rows
    infinite = np.isinf(rows)
    return np.where(infinite, np.nan, rows) if infinite.any() else rows
