"""Scores of a range of rows in series order, whatever range they are read with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.series.events.runs import Run, runs_above
from aemodel.series.windows.points import Piece
from flows.engine.series_rows import RowRange, read_range
from flows.scoring.series.warmup import Judges


@dataclass(frozen=True)
class ScoredRange:
    """Rows of a range with their scores (n,); NaN where no window covers a row.

    held: (n,) rows of a grid that repeat the row before them, whatever range they are read with.
    runs: of rows that score above the level of hysteresis.
    """

    rows: RowRange
    scores: NDArray[np.float64]
    held: NDArray[np.bool_]
    runs: tuple[Run, ...]


def score_range(judges: Judges, start: int, stop: int, *, above: float) -> ScoredRange:
    """Score the rows from number `start` up to `stop`, read with the rows around them."""
    source, context = judges.source, judges.model.scorer.context
    first = max(0, start - context)
    read = read_range(source, first, min(source.n_rows, stop + context), stop - start)
    scores, runs = np.full(len(read.rows), np.nan), list[Run]()
    inner = slice(start - first, stop - first)
    for begin, end in read.spans():
        if end <= inner.start or begin >= inner.stop:
            continue
        part = slice(max(begin, inner.start), min(end, inner.stop))
        scores[begin:end] = _points(judges, read, begin, end)
        runs += _runs(read, scores, part, begin=begin, above=above)
    return ScoredRange(_cut(read, inner), scores[inner], _held(read)[inner], tuple(runs))


def _held(read: RowRange) -> NDArray[np.bool_]:
    held = np.zeros(len(read.numbers), np.bool_)
    held[1:] = (read.numbers[1:] == read.numbers[:-1]) & ~read.series.context[:-1]
    return held


def _points(judges: Judges, read: RowRange, begin: int, end: int) -> NDArray[np.float64]:
    """Score the part of a segment that was read."""
    entity = int(read.series.entities[begin])
    judge = judges.of(entity)
    origin, _ = judges.source.rows_of(judges.source.entities[entity])
    last = read.start + end == judges.source.n_rows
    piece = Piece(
        judge.scaled(read.rows[begin:end]),
        first=read.start + begin - origin,
        begins=bool(read.series.starts[begin]),
        ends=end < len(read.rows) or last,
    )
    return np.where(read.usable[begin:end], judge.model.scorer.points(piece), np.nan)


def _runs(
    read: RowRange, scores: NDArray[np.float64], part: slice, *, begin: int, above: float
) -> Iterator[Run]:
    judged = np.where(read.series.context[part], np.nan, scores[part])
    yield from runs_above(
        judged,
        above=above,
        first=read.start + part.start,
        entity=int(read.series.entities[begin]),
        segment=read.start + begin,
    )


def _cut(read: RowRange, part: slice) -> RowRange:
    return RowRange(
        start=read.start + part.start,
        rows=read.rows[part],
        series=read.series.pick(part),
        usable=read.usable[part],
        numbers=read.numbers[part],
        ids=None if read.ids is None else read.ids[part],
    )
