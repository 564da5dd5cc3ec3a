"""Facts of series, gathered while their rows pass by in series order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from storage.sources.series.key_values import Ticks
from storage.sources.series.order import TICKS_A_SECOND, SeriesFacts, SeriesIndex

MOST_SAMPLED = 200_000
MOST_TIME_RUNS, FEW_TIME_RUNS, ROWS_OF_A_RUN = 1_000_000, 10_000, 16
SAME_STEP = 0.01  # relative difference of steps that count as equal


class RandomSample:
    """A random sample of rows of arrays, the same however the rows come in pieces.

    Each row has a random priority; those of the lowest are kept.
    """

    def __init__(self, most: int = MOST_SAMPLED) -> None:
        self._random, self._most, self._limit = np.random.default_rng(0), most, 1.0
        self._kept: list[tuple[NDArray[Any], ...]] = []
        self._size = 0

    def add(self, *columns: NDArray[np.generic]) -> None:
        """Add rows; each column has one value (n,) for each."""
        priority = self._random.random(len(columns[0]), np.float32)
        picked = np.flatnonzero(priority < self._limit)
        self._kept.append((priority[picked], *(column[picked] for column in columns)))
        self._size += len(picked)
        while self._size > self._most:
            self._limit /= 2
            whole = self._joined()
            lower = whole[0] < self._limit
            self._kept = [tuple(column[lower] for column in whole)]
            self._size = int(lower.sum())

    def columns(self) -> tuple[NDArray[Any], ...]:
        """Return the columns of the sampled rows."""
        return self._joined()[1:]

    def _joined(self) -> tuple[NDArray[Any], ...]:
        return tuple(map(np.concatenate, zip(*self._kept, strict=True)))


def begins_segment(entities: NDArray[np.int32], times: Ticks, gap: float) -> NDArray[np.bool_]:
    """Return which rows (n - 1,) but the first of n begin a segment. gap: in ticks."""
    return np.asarray((entities[1:] != entities[:-1]) | (np.diff(times) > gap))


def runs_between(
    starts: NDArray[np.int64], start: int, stop: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the runs (k,) that rows from `start` up to `stop` are in, and how many in each.

    starts: the first row of each run; one without rows has none here either.
    """
    places = np.searchsorted(starts, [start, max(start, stop - 1)], side="right") - 1
    first, last = map(int, places)
    bounds = np.concatenate([[start], starts[first + 1 : last + 1], [stop]])
    return np.arange(first, last + 1), np.diff(bounds)


class TimeRuns(NamedTuple):
    """Times of rows as runs of equal steps: so many of regular series need not be read again.

    rows: (k,) the first row of each run. times, steps: (k,) its time, and that from row to row.
    """

    rows: NDArray[np.int64]
    times: NDArray[np.int64]
    steps: NDArray[np.int64]

    def between(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the times of the rows from `start` up to `stop`."""
        runs, counts = runs_between(self.rows, start, stop)
        offsets = self.times[runs] - self.rows[runs] * self.steps[runs]
        steps = np.repeat(self.steps[runs], counts)
        found: NDArray[np.int64] = np.repeat(offsets, counts) + np.arange(start, stop) * steps
        return found


def find_runs(times: NDArray[np.int64], changes: NDArray[np.bool_], start: int) -> TimeRuns:
    """Return the runs of times (n,) from row `start` on. changes: (n - 1,) another entity."""
    steps = np.diff(times, prepend=times[:1])
    begins = np.concatenate([[True], changes | (steps[1:] != steps[:-1])])
    begins[2:] |= changes[:-1]
    rows = np.flatnonzero(begins)
    return TimeRuns(rows + start, times[rows], steps[rows])


class SeriesStatistics:
    """Gathers facts of rows in series order.

    gap: in ticks.
    """

    def __init__(self, gap: float) -> None:
        self.gap = gap
        self._segments = self._repeated = self._rows = 0
        self._steps = RandomSample()
        self._last: tuple[NDArray[np.int32], Ticks] | None = None
        self._runs: list[tuple[NDArray[np.int32], NDArray[np.int64], Ticks]] = []
        self._times: list[TimeRuns] | None = []
        self._time_runs = 0

    def add(self, entities: NDArray[np.int32], times: Ticks) -> None:
        """Add the next rows: their entities and times (n,)."""
        if not len(times):
            return
        self._add_times(entities, times)
        before = 0
        if self._last is not None:
            entities = np.concatenate([self._last[0], entities])
            times = np.concatenate([self._last[1], times])
            before = 1
        self._last = entities[-1:], times[-1:]
        changes = np.diff(entities) != 0
        first = np.flatnonzero(np.r_[not before, changes])
        self._runs.append((entities[first], first + self._rows - before, times[first]))
        self._rows += len(times) - before
        steps = np.diff(times)
        self._segments += int((changes | (steps > self.gap)).sum()) + (1 - before)
        self._repeated += int((~changes & (steps == 0)).sum())
        self._steps.add(steps[~changes & (steps > 0)])

    def _add_times(self, entities: NDArray[np.int32], times: Ticks) -> None:
        """Keep the times as runs, unless they are irregular."""
        if self._times is None or times.dtype.kind != "i":
            self._times = None
            return
        self._times.append(find_runs(times.astype(np.int64), np.diff(entities) != 0, self._rows))
        self._time_runs += len(self._times[-1].rows)
        rows = self._rows + len(times)
        if self._time_runs > min(MOST_TIME_RUNS, FEW_TIME_RUNS + rows // ROWS_OF_A_RUN):
            self._times = None

    def time_runs(self) -> TimeRuns | None:
        """Return the times as runs; None if they are irregular, or no whole numbers."""
        if not self._times:
            return None
        return TimeRuns(*map(np.concatenate, zip(*self._times, strict=True)))

    def _typical_step(self) -> tuple[float, float]:
        """Return the median step in ticks, and the share of steps that differ; 0 without any."""
        (steps,) = self._steps.columns() if self._last else (np.empty(0),)
        if not len(steps):
            return 0.0, 0.0
        step = float(np.median(steps))
        return step, float((np.abs(steps - step) > SAME_STEP * step).mean())

    def index(self, names: Sequence[str], *, numbers: bool, **counts: int) -> SeriesIndex:
        """Return the index of the rows. names: of the entities. counts: see `SeriesFacts`."""
        none = np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int64)
        runs = tuple(map(np.concatenate, zip(*self._runs, strict=True))) if self._runs else none
        step, irregular = self._typical_step()
        ticks = 1 if numbers else TICKS_A_SECOND
        facts = SeriesFacts(
            len(runs[0]),
            self._segments,
            step / ticks,
            irregular,
            repeated=self._repeated,
            **counts,
        )
        rows = np.diff(runs[1], append=self._rows)
        return SeriesIndex(tuple(names), runs[0], rows, runs[2], numbers, facts)
