"""What is shown of an event: the sensors that matter, beside what was expected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.series.causes.event import EventCause, EventRows, explain_event, explained_part
from aemodel.series.causes.units import duration_text
from aemodel.series.events.runs import Run
from aemodel.series.model import SeriesModel
from flows.engine.series_rows import RowRange, read_range
from flows.scoring.series.warmup import Judge, Judges
from storage.pages.events.report import EventView, SensorTrace
from storage.sources.series.source import SeriesSource

MOST_PLOTTED = 25  # events with a plot
MOST_SENSORS = 4  # plotted of each
AROUND_WINDOWS = 4  # shown on either side of an event, at least
MOST_AROUND = 1_500  # rows shown on either side
AT_ONCE = 65_536  # rows read
DAY = 86_400


def chance_words(model: SeriesModel, score: float) -> str:
    """Say how often clean data goes as high."""
    highest, stretch = model.calibration.highest, model.calibration.stretch
    if not len(highest):
        return "unknown: there are no clean stretches"
    above = int((highest >= score).sum())
    length = duration_text(stretch * model.step) if model.in_seconds else f"{stretch:,.0f} rows"
    return f"1 in {(len(highest) + 1) // (above + 1):,} clean stretches of {length}"


def _around(model: SeriesModel) -> int:
    """Return how many rows are shown on either side of an event: about half a day."""
    half_day = round(DAY / 2 / model.step) if model.in_seconds else 0
    return min(max(AROUND_WINDOWS * model.scorer.window, half_day), MOST_AROUND)


def _ticks(read: RowRange) -> NDArray[np.int64]:
    return read.series.times.astype(np.int64)


def _time(source: SeriesSource, read: RowRange, row: int) -> int:
    """Return the time of a row, which is read only if it is not among those that were."""
    if not read.start <= row < read.start + len(read.rows):
        read = read_range(source, row, row + 1, AT_ONCE)
    return int(_ticks(read)[row - read.start])


def _traces(judge: Judge, cause: EventCause, rows: NDArray[np.generic]) -> tuple[SensorTrace, ...]:
    model, levels = judge.model, judge.model.levels
    center, spread = levels.center[judge.row], levels.spread[judge.row]
    low, high = center + model.band * spread
    return tuple(
        SensorTrace(
            name=model.sensors[each.index],
            actual=rows[:, each.index].astype(np.float64),
            expected=cause.expected[:, each.index],
            low=np.full(len(rows), low[each.index]),
            high=np.full(len(rows), high[each.index]),
            share=each.share,
        )
        for each in cause.sensors[:MOST_SENSORS]
    )


@dataclass(frozen=True)
class Found:
    """An event with its rows: times and numbers (n,) of the event alone, and its cause."""

    run: Run
    entity: str
    start: int
    end: int
    peak: int
    peak_row: int
    id: str
    file: int
    cause: EventCause
    view: EventView


def find_evidence(judges: Judges, run: Run, rank: int) -> Found:
    """Explain an event, and cut out what its plot shows."""
    model, source = judges.model, judges.source
    around = _around(model)
    first, stop = source.rows_of(source.entities[run.entity])
    begin, end = explained_part(run.start, run.stop, run.peak, sensors=len(model.sensors))
    read = read_range(source, max(first, begin - around), min(stop, end + around), AT_ONCE)
    judge = judges.of(run.entity)
    event_rows = EventRows(
        rows=read.rows,
        start=begin - read.start,
        stop=end - read.start,
        entity=judge.row,
        whole=(run.start - read.start, run.stop - read.start),
    )
    cause = explain_event(judge.model, event_rows)
    peak = run.peak - read.start
    times = _ticks(read)
    event = {"start": _time(source, read, run.start), "end": _time(source, read, run.stop - 1)}
    plotted = rank <= MOST_PLOTTED
    row = int(read.numbers[peak])
    row_id = str(row if read.ids is None else read.ids[peak])
    view = EventView(
        id=row_id,
        row=row,
        entity=source.entities[run.entity],
        **event,
        peak=int(times[peak]),
        rows=run.stop - run.start,
        score=run.score,
        chance=chance_words(model, run.score),
        cause=cause.words,
        times=times if plotted else np.empty(0, np.int64),
        sensors=_traces(judge, cause, read.rows) if plotted else (),
    )
    return Found(
        run=run,
        entity=source.entities[run.entity],
        **event,
        peak=int(times[peak]),
        peak_row=row,
        id=row_id,
        file=max(int(read.series.files[peak]), 0),
        cause=cause,
        view=view,
    )
