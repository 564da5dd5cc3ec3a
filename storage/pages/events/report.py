"""Everything that the page of events says, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from storage.pages.nights.comparison import Comparison
from storage.pages.nights.history import Strip

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SensorTrace:
    """One sensor around an event, in its own units. NaN is a gap.

    actual, expected: (n,) measured values and their reconstructions.
    low, high: (n,) the 1 % and 99 % quantiles of clean data.
    share: this sensor's share of the event's score, in [0, 1].
    """

    name: str
    actual: Floats
    expected: Floats
    low: Floats
    high: Floats
    share: float

    def __post_init__(self) -> None:
        shapes = {each.shape for each in (self.actual, self.expected, self.low, self.high)}
        if len(shapes) != 1 or self.actual.ndim != 1:
            raise ValueError(
                f"sensor {self.name!r}: actual, expected, low, and high must have one shape (n,). "
                f"Got {sorted(shapes)} instead."
            )


@dataclass(frozen=True, kw_only=True)
class EventView:
    """One event: a flagged stretch of one entity.

    id, row: of the highest row, in the input.
    start, end, peak: times of the first, last, and highest row. Times are nanoseconds since 1970
        (UTC), or step numbers where rows have no time.
    rows: number of flagged rows.
    chance: how often clean data gives such a score, as in '1 in 400 clean stretches of 34 min'.
    cause: one sentence.
    times: (n,) ascending times of the rows in the plot: the event and what is around it.
    sensors: worst first, each with n values; empty if this event has no plot.
    """

    id: str
    row: int
    entity: str
    start: int
    end: int
    peak: int
    rows: int
    score: float
    chance: str
    cause: str
    times: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    sensors: Sequence[SensorTrace] = ()

    def __post_init__(self) -> None:
        where = f"event of {self.entity!r} from {self.start}"
        if not self.start <= self.peak <= self.end:
            raise ValueError(
                f"{where}: start, peak, and end must ascend. "
                f"Got {self.start}, {self.peak}, {self.end} instead."
            )
        if (np.diff(self.times) < 0).any():
            raise ValueError(f"{where}: times must ascend.")
        for sensor in self.sensors:
            if sensor.actual.shape != self.times.shape:
                raise ValueError(
                    f"{where}: sensor {sensor.name!r} must have {len(self.times)} values, one "
                    f"per time. Got {len(sensor.actual)} instead."
                )


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """The scores of all entities over the night.

    entities: e names, in the order of the input.
    edges: (b + 1,) ascending times between bins.
    highest: (e, b) highest score in each bin, as a multiple of the cut; NaN if it has no rows.
    """

    entities: Sequence[str]
    edges: NDArray[np.int64]
    highest: Floats

    def __post_init__(self) -> None:
        expected = (len(self.entities), len(self.edges) - 1)
        if len(self.edges) < 2 or (np.diff(self.edges) <= 0).any():
            raise ValueError("timeline: edges must be at least two ascending times.")
        if self.highest.shape != expected:
            raise ValueError(
                f"timeline: highest must have shape {expected}, entities by bins. "
                f"Got {self.highest.shape} instead."
            )


@dataclass(frozen=True, kw_only=True)
class EventsReport:
    """The content of the page: of input, model, settings, and the nights before as published.

    entity_name: what an entity is, the name of its column; '' if all rows are one series.
    n_events: events found, of which `events` has the worst, worst first.
    expected: events that as much clean data gives, in words; '' if nothing is known about it.
    promise: what the rule promises, or why nothing was scored.
    warnings: what affects trust, each a sentence.
    notes: other remarks, such as how many events a usual night has.
    zone: IANA name of the zone in which times are shown; None if rows have no time.
    command: the command that gives this page again.
    downloads: names of files beside the page.
    checks: what was read, by name. settings: how the report was made, by name.
    strip: the last nights and this one. comparison: their figures. usual_night: in words.
    index: the page of all nights, relative to this page; '' if there is none.
    """

    job: str
    date: str
    revision: int
    verdict: str
    rows: int
    n_entities: int
    n_events: int
    entity_name: str
    expected: str
    promise: str
    zone: str | None
    model_id: str
    input_digest: str
    strip: Strip
    comparison: Comparison
    usual_night: str = ""
    timeline: Timeline | None = None
    events: Sequence[EventView] = ()
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()
    checks: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    downloads: Sequence[str] = ()
    index: str = ""

    @property
    def scored(self) -> bool:
        """Whether any rows were judged."""
        return self.rows > 0 and not self.verdict.startswith(("FAILED", "NO DATA"))
