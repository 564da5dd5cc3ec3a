"""Times, ticks, thinned traces, and the lanes of the timeline."""

from __future__ import annotations

import numpy as np
import pytest
from event_nights import MIDNIGHT, MINUTE, event, timeline
from hypothesis import given
from hypothesis import strategies as st

from storage.pages.events.clock import HOUR, Clock, format_length
from storage.pages.events.lanes import draw_lanes
from storage.pages.events.panels import draw_panel
from storage.pages.events.paths import band_path, line_path
from storage.pages.events.report import SensorTrace
from storage.pages.events.thinning import envelope, extreme_positions
from storage.pages.events.ticks import time_ticks, value_ticks

BERLIN = Clock.of("Europe/Berlin")
DAY = 24 * HOUR


@given(st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=1, max_size=500))
def test_thinning_keeps_the_extremes_and_the_order(values):
    trace = np.array(values)
    kept = extreme_positions(trace, 20)

    assert (np.diff(kept) > 0).all()
    assert len(kept) <= 60
    if np.isfinite(trace).any():
        assert np.nanmax(trace[kept]) == np.nanmax(trace)
        assert np.nanmin(trace[kept]) == np.nanmin(trace)


def test_a_spike_of_one_row_survives_in_a_day_of_seconds():
    trace = np.zeros(86_400)
    trace[50_000] = 9.0

    assert 50_000 in extreme_positions(trace, 300)
    assert envelope(trace, trace, 120)[2].max() == 9.0


def test_a_gap_longer_than_a_pixel_survives_thinning():
    trace = np.zeros(86_400)
    trace[40_000:41_000] = np.nan
    kept = trace[extreme_positions(trace, 300)]

    assert line_path(np.arange(len(kept)), kept).count("M") == 2


def test_a_gap_interrupts_a_line_and_a_single_value_is_a_dot():
    x, y = np.arange(5.0), np.array([1.0, 3.0, np.nan, 2.0, np.nan])

    assert line_path(x, y) == "M0 1l1 2M3 2h0"


def test_a_band_is_an_area_between_two_lines():
    x = np.array([0.0, 10.0, 20.0])

    assert band_path(x, np.ones(3), np.full(3, 5.0)) == "M0 1l20 0L20 5l-20 0z"


def test_rows_that_are_missing_interrupt_a_line():
    times = np.concatenate([np.arange(50), np.arange(500, 550)])
    values = np.sin(times)
    trace = SensorTrace(
        name="a", actual=values, expected=values, low=values, high=values, share=1.0
    )

    assert draw_panel(trace, times, (0, 549)).actual.count("M") == 2


def test_a_wide_band_does_not_flatten_the_lines():
    wave = np.sin(np.arange(100.0))
    wide = np.full(100, 1000.0)
    trace = SensorTrace(name="a", actual=wave, expected=wave, low=-wide, high=wide, share=1.0)
    labels = [tick.label for tick in draw_panel(trace, np.arange(100), (0, 99)).ticks]

    assert labels == ["-2", "0", "2"]


def test_ticks_are_round_local_times():
    labels = [tick.label for tick in time_ticks(BERLIN, MIDNIGHT, MIDNIGHT + DAY, most=8)]

    assert labels == [
        "Nov 22",
        "03:00",
        "06:00",
        "09:00",
        "12:00",
        "15:00",
        "18:00",
        "21:00",
        "Nov 23",
    ]


def test_ticks_are_round_in_a_zone_of_half_hours():
    ticks = time_ticks(Clock.of("Asia/Kolkata"), MIDNIGHT, MIDNIGHT + DAY, most=4)

    assert [tick.label for tick in ticks] == ["06:00", "12:00", "18:00", "Nov 23"]


@pytest.mark.parametrize(
    ("start", "labels"),
    [
        ("2026-03-29T00:00", ["01:00", "03:00", "04:00", "05:00"]),
        ("2026-10-25T00:00", ["02:00", "02:00", "03:00", "04:00"]),
    ],
)
def test_clock_changes_skip_and_repeat_ticks(start, labels):
    first = int(np.datetime64(start, "ns").astype(np.int64))

    assert [tick.label for tick in time_ticks(BERLIN, first, first + 3 * HOUR, most=4)] == labels


def test_an_event_over_a_clock_change_names_both_offsets():
    first = int(np.datetime64("2026-10-25T00:30", "ns").astype(np.int64))

    assert BERLIN.period(first, first + HOUR) == "02:30 CEST–02:30 CET"


def test_ticks_of_steps_and_of_parts_of_a_second_are_round():
    steps = [tick.label for tick in time_ticks(Clock.of(None), 0, 2500, most=4)]
    parts = [tick.label for tick in time_ticks(BERLIN, MIDNIGHT, MIDNIGHT + 10**9, most=4)]

    assert steps == ["0", "1,000", "2,000"]
    assert parts == ["0 s", "0.5 s", "1 s"]


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [(0.93, 2.2, ["1.0", "1.5", "2.0"]), (-3e7, 3e7, ["-2e+07", "0", "2e+07"])],
)
def test_ticks_of_values_are_round(low, high, labels):
    assert [tick.label for tick in value_ticks(low, high, 4)] == labels


@pytest.mark.parametrize(
    ("length", "text"),
    [(34 * MINUTE, "34 min"), (65 * MINUTE, "1 h 5 min"), (2_500_000, "2 ms 500 µs"), (0, "")],
)
def test_a_length_of_time_has_two_units(length, text):
    assert format_length(length) == text


def test_entities_with_events_have_lanes_and_the_others_share_strips():
    names = tuple(f"machine-{number:04d}" for number in range(1000))
    lanes = draw_lanes(timeline(names), [event("machine-0700"), event("machine-0003")], BERLIN)

    assert [lane.names for lane in lanes.lanes] == [["machine-0700"], ["machine-0003"]]
    assert len(lanes.strips) == 40
    assert sum(len(strip.names) for strip in lanes.strips) == lanes.folded == 998


def test_a_bin_above_the_cut_stays_visible_in_a_strip_of_many_entities():
    quiet = timeline(tuple(map(str, range(1000))), bins=1440)
    quiet.highest[777, 1000] = 1.2
    flagged = [strip for strip in draw_lanes(quiet, [], BERLIN).strips if strip.cells[3]]

    assert [("777" in strip.names, strip.text) for strip in flagged] == [
        (True, "highest score 1.2 times the cut")
    ]


def test_a_long_name_is_shortened_in_the_middle():
    lanes = draw_lanes(timeline(("plant-hamburg/pump-0017", "pump")), [], BERLIN)

    assert [lane.label for lane in lanes.lanes] == ["plant-hamb…/pump-0017", "pump"]
