"""Generated nights of pumps for tests of the page of events."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from night_pages import line_of

from storage.pages.events.report import EventsReport, EventView, SensorTrace, Timeline
from storage.pages.nights.comparison import compare_figures
from storage.pages.nights.history import draw_strip

MINUTE = 60 * 10**9
MIDNIGHT = 1_795_302_000 * 10**9  # 2026-11-22 00:00 in Berlin
TONIGHT, BEFORE = line_of("2026-11-22", 3), line_of("2026-11-21", 2)
SENSORS = ("Pressure", "Current", "Vibration", "Flow", "Temperature", "Level", "Voltage", "Speed")


def trace(name, fault=None, *, n=1440, seed=0, share=0.1):
    """One sensor at one value a minute; fault changes the values (n,) in place."""
    generator = np.random.default_rng(seed)
    steps = np.arange(n)
    expected = 3 + seed + np.sin(2 * np.pi * steps / 240) + 0.2 * np.sin(steps / 9)
    actual = expected + generator.normal(0, 0.12, n)
    if fault:
        fault(actual)
    return SensorTrace(
        name=name,
        actual=actual,
        expected=expected,
        low=np.full(n, 1.6 + seed),
        high=np.full(n, 4.4 + seed),
        share=share,
    )


def event(entity="pump-2", start=843, end=877, fault=None, **changes):
    """An event of some minutes of the day, with the plot of the whole day."""
    names = [SENSORS[0], *SENSORS[1:]]
    traces = [trace(names[0], fault, share=0.8)]
    traces += [trace(name, seed=place, share=0.03) for place, name in enumerate(names[1:], 1)]
    given = EventView(
        id=f"{entity} {start}",
        row=start,
        entity=entity,
        start=MIDNIGHT + start * MINUTE,
        end=MIDNIGHT + end * MINUTE,
        peak=MIDNIGHT + (start + end) // 2 * MINUTE,
        rows=end - start + 1,
        score=12.5,
        chance="1 in 400 clean stretches of 34 min",
        cause="Pressure flat for 34 min while Current moves",
        times=MIDNIGHT + MINUTE * np.arange(1440),
        sensors=traces,
    )
    return replace(given, **changes)


def timeline(entities, *, bins=96, seed=0):
    """A quiet day."""
    highest = 0.2 + 0.25 * np.random.default_rng(seed).gamma(1.2, 0.6, (len(entities), bins))
    edges = MIDNIGHT + np.arange(bins + 1) * (1440 * MINUTE // bins)
    return Timeline(entities=entities, edges=edges, highest=np.minimum(highest, 0.97))


def report(events=(), entities=("pump-1", "pump-2", "pump-3"), **changes):
    """A whole night."""
    given = EventsReport(
        job="pumps",
        date="2026-11-22",
        revision=1,
        verdict=f"REVIEW {len(events)}" if events else "OK",
        rows=1440 * len(entities),
        n_entities=len(entities),
        n_events=len(events),
        entity_name="pump",
        expected="0.14 events",
        promise="At most 1 false event in 7 days of clean data, all pumps together.",
        zone="Europe/Berlin",
        strip=draw_strip(TONIGHT, [BEFORE]),
        comparison=compare_figures(TONIGHT, [BEFORE], flagged="events"),
        model_id="5f0c2d9a11",
        input_digest="0" * 64,
        timeline=timeline(entities),
        events=events,
        command="nightglass score pumps.toml --date 2026-11-22",
        downloads=("events.csv", "events.parquet", "summary.json", "manifest.json"),
        checks={"gaps": "none", "duplicate times": "none"},
        settings={"rule": "events 1/7d", "window": "64 rows"},
    )
    return replace(given, **changes)
