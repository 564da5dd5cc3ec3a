"""Rows spread over a whole source, read in bounded time and memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from storage.sources.columns.schema import KEYED
from storage.sources.source import Source

MOST_ADJACENT = 64  # rows that stay together, which shows whether they ascend or repeat
FEWEST_BLOCKS = 8
MOST_VALUES = 8_000_000  # in a sample
VALUES_READ = 50_000_000  # at most, to find the rows of a sample
CHUNK_VALUES = 4_000_000
MOST_PIECES = 16

Span = tuple[int, int]  # first row, and the one after the last


def spread_rows(source: Source, most: int) -> NDArray[np.generic]:
    """Return about `most` rows of a source (n, *row_shape), fewer if they are wide, in order.

    They form blocks of adjacent rows, spread evenly over the source. Of a large Parquet file or
    other source with borders, the first rows of up to MOST_PIECES pieces are read. A gap in any row
    that is read sets `source.has_gaps`. Raises as `Source.chunks` does.
    """
    if source.kept is not None:
        return source.kept
    width = max(1, int(np.prod(source.schema.row_shape, dtype=np.int64)))
    most = rows_within(most, width)
    spans = _spans(source, most, width)
    share = max(1, most // len(spans))
    return np.concatenate([rows for span in spans for rows in _picked(source, span, share, width)])


def rows_within(most: int, width: int) -> int:
    """Return the number of rows of `width` values that a sample may have, at most `most`."""
    return max(1, min(most, MOST_VALUES // max(1, width)))


def rows_in_block(most: int) -> int:
    """Return the number of adjacent rows that stay together in a sample of `most` rows."""
    return max(1, min(MOST_ADJACENT, most // FEWEST_BLOCKS))


def _spans(source: Source, most: int, width: int) -> list[Span]:
    """Return the parts of a source to pick rows from."""
    n_rows = source.n_rows
    if source.sequential or n_rows <= max(most, VALUES_READ // width):
        return [(0, n_rows)]
    if not source.borders:
        size = rows_in_block(most)
        return [(start, min(n_rows, start + size)) for start in _starts(n_rows, most, size)]
    starts = np.unique([0, *(each for each in source.borders if each < n_rows)])
    places = np.linspace(0, len(starts) - 1, min(MOST_PIECES, len(starts))).astype(int)
    length = max(MOST_ADJACENT, VALUES_READ // width // len(places))
    ends = [*starts[1:].tolist(), n_rows]
    return [(int(starts[each]), min(ends[each], int(starts[each]) + length)) for each in places]


def _starts(n_rows: int, most: int, size: int) -> list[int]:
    """Return the first rows of blocks of `size` rows that spread evenly over `n_rows`."""
    starts = np.linspace(0, max(0, n_rows - size), max(1, most // size)).astype(np.int64)
    return list(map(int, np.unique(starts)))


def _picked(source: Source, span: Span, most: int, width: int) -> Iterator[NDArray[np.generic]]:
    """Yield about `most` rows of a span, in blocks."""
    start, stop = span
    wanted = np.arange(start, stop)
    if stop - start > most:
        size = rows_in_block(most)
        blocks = [start + each for each in _starts(stop - start, most, size)]
        wanted = np.unique(np.add.outer(blocks, np.arange(size)))
    for chunk in source.chunks(start, stop, max_rows=max(1, CHUNK_VALUES // width)):
        _note_gaps(source, chunk.rows)
        first, last = np.searchsorted(wanted, [chunk.start, chunk.start + len(chunk.rows)])
        yield chunk.rows[wanted[first:last] - chunk.start]


def _note_gaps(source: Source, rows: NDArray[np.generic]) -> None:
    """Look for gaps in numbers and times; in a category, one is a level."""
    if source.has_gaps or rows.dtype.kind != "f":
        return
    keyed = [place for place, kind in enumerate(source.schema.kinds) if kind in KEYED]
    source.has_gaps = bool(np.isnan(np.delete(rows, keyed, axis=1) if keyed else rows).any())
