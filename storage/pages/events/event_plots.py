"""The plot of an event: its sensors as small multiples that share the time axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from storage.pages.events.clock import Clock
from storage.pages.events.panels import Panel, draw_panel
from storage.pages.events.report import EventView, Floats, SensorTrace
from storage.pages.events.ticks import Tick, time_ticks

MOST_SENSORS = 5  # per event
WIDE_ENOUGH = 0.2  # an event that fills this share of what is around it needs no close view
ROWS_AROUND = 15  # at least, on both sides of an event in its close view
NARROWEST = 0.4  # percent of the width: an event is never invisible


@dataclass(frozen=True)
class View:
    """What the columns of a plot have in common. Places and widths are percent of the width.

    kind: 'close' or 'around', or 'whole' if there is only one.
    start, width: of the event. peak: of its highest row.
    """

    kind: str
    span: tuple[int, int]
    start: float
    width: float
    peak: float
    ticks: Sequence[Tick]


@dataclass(frozen=True)
class SensorRow:
    """One sensor: its figures within the event, and a panel per view."""

    name: str
    share: float
    figures: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class EventPlot:
    """The views of an event, its sensors, and how many sensors were left out."""

    views: Sequence[View]
    sensors: Sequence[SensorRow]
    left_out: int


def plot_event(event: EventView, clock: Clock) -> EventPlot | None:
    """Draw an event, or as much as there are rows of; None without rows or sensors to draw."""
    if not event.sensors or not len(event.times):
        return None
    first, last = int(event.times[0]), int(event.times[-1])
    event = replace(event, start=max(event.start, first), end=min(event.end, last))
    views = _views(event, clock)
    shown = event.sensors[:MOST_SENSORS]
    return EventPlot(
        views=views,
        sensors=[_sensor_row(event, each, views) for each in shown],
        left_out=len(event.sensors) - len(shown),
    )


def _views(event: EventView, clock: Clock) -> list[View]:
    first, last = int(event.times[0]), int(event.times[-1])
    if event.end - event.start >= WIDE_ENOUGH * (last - first):
        return [_view("whole", event, (first, last), clock)]
    around = max(event.end - event.start, ROWS_AROUND * _step(event))
    close = max(first, event.start - around), min(last, event.end + around)
    views = [_view("close", event, close, clock), _view("around", event, (first, last), clock)]
    return (
        views
        if close[1] - close[0] < (last - first) / 2
        else [_view("whole", event, (first, last), clock)]
    )


def _step(event: EventView) -> int:
    """Return the usual time between two rows."""
    return int(np.median(np.diff(event.times))) if len(event.times) > 1 else 1


def _view(kind: str, event: EventView, span: tuple[int, int], clock: Clock) -> View:
    length = max(1, span[1] - span[0])
    width = max(NARROWEST, 100 * (event.end - event.start) / length)
    middle = 50 * ((event.start - span[0]) + (event.end - span[0])) / length
    return View(
        kind=kind,
        span=span,
        start=middle - width / 2,
        width=width,
        peak=100 * (event.peak - span[0]) / length,
        ticks=time_ticks(clock, *span, most={"close": 6, "around": 4, "whole": 9}[kind]),
    )


def _sensor_row(event: EventView, trace: SensorTrace, views: Sequence[View]) -> SensorRow:
    return SensorRow(
        name=trace.name,
        share=trace.share,
        figures=_figures(event, trace),
        panels=[
            draw_panel(trace, event.times, view.span, detail=0.5 if view.kind == "around" else 1)
            for view in views
        ],
    )


def _figures(event: EventView, trace: SensorTrace) -> str:
    """Return the ranges of a sensor within the event, in words."""
    part = slice(*np.searchsorted(event.times, [event.start, event.end + 1]))
    band = np.concatenate([trace.low[part], trace.high[part]])
    ranges = {
        "actual": _range(trace.actual[part]),
        "expected": _range(trace.expected[part]),
        "clean": _range(band),
    }
    return ", ".join(f"{name} {found}" for name, found in ranges.items())


def _range(values: Floats) -> str:
    """Return '2.1 to 3.4', or 'missing'."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return "missing"
    low, high = f"{finite.min():.3g}", f"{finite.max():.3g}"
    return low if low == high else f"{low} to {high}"
