"""Scores and events of rows that were arranged as segments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.errors import DataError
from aemodel.series.causes.event import EventRows, SensorShare, explain_event, explained_part
from aemodel.series.detector.segments import Arranged, Segment
from aemodel.series.events.runs import Run, events_above, runs_above
from aemodel.series.fitting.fit_scorer import fit_on_warmup
from aemodel.series.model import SeriesModel
from aemodel.series.windows.points import Piece

AROUND = 4  # windows on either side of an event that its cause rests on
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class SeriesEvent:
    """A stretch of rows that is anomalous.

    start, end, peak: times of its first, last and highest row, or row numbers without times.
    score: of the peak; higher is more anomalous. sensors: worst first. cause: in words.
    """

    entity: str
    start: object
    end: object
    peak: object
    score: float
    sensors: tuple[SensorShare, ...]
    cause: str


@dataclass(frozen=True)
class ScoredRows:
    """Rows (n, d) with their scores (n,), and the model that judged each segment."""

    rows: Matrix
    arranged: Arranged
    judges: list[SeriesModel]
    places: list[int]
    scores: Matrix

    @classmethod
    def of(cls, model: SeriesModel, rows: Matrix, arranged: Arranged) -> ScoredRows:
        """Score all segments."""
        scores, warmup = np.full(len(rows), np.nan), model.settings.baseline.rows
        judges: list[SeriesModel] = []
        places = []
        known = model.levels.rows_of(arranged.names)
        for number, segment in enumerate(arranged.segments):
            first = not number or arranged.segments[number - 1].entity != segment.entity
            if warmup:
                judges.append(_on_warmup(model, rows, segment) if first else judges[-1])
            else:
                judges.append(model)
            places.append(0 if warmup else int(known[segment.entity]))
            own = segment.rows[warmup:] if first else segment.rows
            scaled = judges[-1].scaled(rows[own], places[-1])
            scores[own] = judges[-1].scorer.points(Piece(scaled))
        return cls(rows, arranged, judges, places, scores)

    def events(self, cut: float) -> list[SeriesEvent]:
        """Return the events that peak above a cut, highest first."""
        found, ordinary = [], self.judges[0].calibration.ordinary if self.judges else np.inf
        for number, segment in enumerate(self.arranged.segments):
            runs = runs_above(
                self.scores[segment.rows], above=ordinary, first=0, entity=number, segment=0
            )
            found += events_above(runs, cut, gap=self.judges[number].scorer.window)
        return [self._event(run) for run in sorted(found, key=lambda run: -run.score)]

    def _event(self, run: Run) -> SeriesEvent:
        segment, model = self.arranged.segments[run.entity], self.judges[run.entity]
        around = AROUND * model.scorer.window
        begin, end = explained_part(run.start, run.stop, run.peak, sensors=self.rows.shape[1])
        first = max(0, begin - around)
        near = segment.rows[first : end + around]
        event = EventRows(
            rows=self.rows[near],
            start=begin - first,
            stop=end - first,
            entity=self.places[run.entity],
            whole=(run.start - first, run.stop - first),
        )
        cause = explain_event(model, event)
        start, end, peak = (
            self.arranged.times[segment.rows[row]] for row in (run.start, run.stop - 1, run.peak)
        )
        name = self.arranged.names[segment.entity]
        return SeriesEvent(name, start, end, peak, run.score, cause.sensors, cause.words)


def _on_warmup(model: SeriesModel, rows: Matrix, segment: Segment) -> SeriesModel:
    """Return the model with level, spread and scorer of the first rows of a segment."""
    warmup = model.settings.baseline.rows
    if len(segment.rows) < warmup:
        raise DataError(
            f"the first segment of an entity has {len(segment.rows):,} rows; "
            f"baseline='{model.settings.baseline}' needs {warmup:,}"
        )
    return fit_on_warmup(model, rows[segment.rows[:warmup]])
