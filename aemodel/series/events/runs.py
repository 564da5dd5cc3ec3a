"""Runs of rows that score high, and the events that they merge into.

Hysteresis: an event begins and ends where scores fall to the level that every other clean stretch
reaches, and counts if its peak lies above the cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Run:
    """Consecutive rows of one segment that score above the hysteresis level.

    entity: index of the entity. segment: row at which the segment begins, or one that is surely
    earlier than `start` by a window. start, stop: first row,
    and the row after the last. peak: the row with the highest score, the first of several.
    """

    entity: int
    segment: int
    start: int
    stop: int
    peak: int
    score: float

    def joined(self, later: Run) -> Run:
        """Return both as one, with the rows in between."""
        best = later if later.score > self.score else self
        return replace(self, stop=later.stop, peak=best.peak, score=best.score)


def runs_above(
    scores: NDArray[np.float64], *, above: float, first: int, entity: int, segment: int
) -> Iterator[Run]:
    """Yield the runs above a level among scores (n,) of consecutive rows of one segment.

    first: number of the first row. NaN is never above.
    """
    high = np.concatenate([[False], np.nan_to_num(scores, nan=-np.inf) > above, [False]])
    edges = np.flatnonzero(high[1:] != high[:-1])
    for start, stop in edges.reshape(-1, 2).tolist():
        peak = start + int(scores[start:stop].argmax())
        yield Run(entity, segment, first + start, first + stop, first + peak, float(scores[peak]))


def merge_runs(runs: Iterable[Run], *, gap: int) -> Iterator[Run]:
    """Join runs of one segment that are less than `gap` rows apart, at most a window.

    They come in order of rows.

    Whether rows came in one piece or in several makes no difference.
    """
    current: Run | None = None
    for run in runs:
        if current and _continues(current, run, gap):
            current = current.joined(run)
            continue
        if current:
            yield current
        current = run
    if current:
        yield current


def _continues(current: Run, later: Run, gap: int) -> bool:
    same = later.entity == current.entity and later.segment < current.stop
    return same and later.start - current.stop < gap


def events_above(runs: Iterable[Run], cut: float, *, gap: int) -> list[Run]:
    """Return the events: merged runs with a peak above the cut, highest first."""
    found = [run for run in merge_runs(runs, gap=gap) if run.score > cut]
    return sorted(found, key=lambda run: (-run.score, run.start))
