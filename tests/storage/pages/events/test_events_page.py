"""The page of a night of events."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest
from event_nights import MIDNIGHT, MINUTE, SENSORS, event, report, timeline, trace

from storage.pages.events.page import render_events_report
from storage.pages.events.report import EventView, SensorTrace, Timeline
from storage.pages.scripts import inline_script

MARKUP = '<img src=x onerror="alert(1)">'
SECOND = 10**9


def page(*events, **changes):
    return render_events_report(report(events, **changes)).decode()


def words(html):
    """The page's visible text, on one line."""
    body = re.sub(r"<style>.*?</style>|<title>.*?</title>", "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", body))


class Tags(HTMLParser):
    """Counts elements by name, and keeps attributes."""

    def __init__(self, html):
        super().__init__()
        self.names, self.attributes = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.attributes += attrs


def test_the_first_screen_says_how_many_where_when_and_why():
    text = words(page(event()))
    first = text[: text.index("The night")]

    assert "1 event in 1 of 3 entities REVIEW 1" in first
    assert "As much clean data gives 0.14 events" in first
    assert "At most 1 false event in 7 days of clean data" in first
    assert "pump-2, 14:03–14:37 2026-11-22, 34 min, 35 rows" in first
    assert "Pressure flat for 34 min while Current moves 1 in 400 clean stretches" in first


def test_the_plot_of_an_event_has_its_sensors_worst_first_with_their_figures():
    html = page(event(fault=lambda values: values.__setitem__(slice(843, 878), 2.5)))
    text = words(html)

    assert "Pressure 80 % of the score: actual 2.5, expected 2.16 to 2.81, clean 1.6 to 4.4" in text
    assert text.index("Pressure 80 %") < text.index("Current 3 %") < text.index("Vibration 3 %")
    assert "3 more sensors have smaller shares" in text
    assert 'aria-label="Pressure, from 14:03–14:37: actual 2.5, expected' in html


def test_a_short_event_has_a_close_view_and_a_long_one_does_not():
    assert "What is around it" in words(page(event()))
    assert "The event and what is around it" in words(page(event(start=300, end=900)))


def test_an_event_that_spans_midnight_has_both_days():
    text = words(page(event(start=-10, end=20)))

    assert "pump-2, 2026-11-21 23:50 – 2026-11-22 00:20 30 min, 31 rows" in text


def test_a_night_without_events_says_so_and_how_close_it_came():
    quiet = timeline(("pump-1", "pump-2"))
    quiet.highest[:] = 0.2
    quiet.highest[1, 56] = 0.83
    text = words(page(timeline=quiet))

    assert "No events in 4,320 rows OK" in text
    assert "The highest score is 0.83 of the cut (pump-2, 2026-11-22 14:00)" in text


def test_a_night_without_data_has_no_plots():
    html = page(verdict="NO DATA", rows=0, timeline=None, promise="No file for this date.")

    assert "No data for 2026-11-22" in words(html)
    assert "No file for this date." in words(html)
    assert 'class="lane' not in html
    assert 'class="panel' not in html


def test_a_night_without_rows_in_its_timeline_is_drawn():
    empty = timeline(("pump-1",))
    empty.highest[:] = np.nan

    assert "pump-1: no rows" in page(timeline=empty)


def test_names_of_folded_entities_are_escaped():
    html = page(entities=tuple(f"{MARKUP}{number}" for number in range(100)))

    assert "<img" not in html
    assert "&lt;img" in html


def test_rows_without_time_have_step_numbers():
    steps = replace(event(""), start=843, end=877, peak=860, times=np.arange(1440))
    lane = replace(timeline(("",)), edges=np.arange(97) * 15)
    text = words(page(steps, entities=("",), entity_name="", zone=None, timeline=lane))

    assert "1 event in 1,440 rows" in text
    assert "steps 843–877 35 rows" in text
    assert "highest at step 860" in text
    assert "steps 0–1,440" in text


@pytest.mark.parametrize("field", ["entity", "cause", "chance"])
def test_text_of_an_event_is_escaped_wherever_it_stands(field):
    hostile = page(event(**{field: MARKUP + "\u202e\x1b[2J"}))

    assert "<img" not in hostile
    assert "\\u202e\\u001b[2J" in hostile
    assert "\u202e" not in hostile
    assert Tags(hostile).names == Tags(page(event(**{field: "plain"}))).names


def test_names_of_job_sensors_entities_and_files_are_escaped():
    given = event()
    hostile = replace(given, sensors=[replace(each, name=MARKUP) for each in given.sensors])
    html = page(
        hostile,
        job=MARKUP,
        entity_name=MARKUP,
        entities=(MARKUP, "pump-2"),
        warnings=(MARKUP,),
        notes=(MARKUP,),
        settings={MARKUP: MARKUP},
        checks={MARKUP: MARKUP},
        command=MARKUP,
        downloads=(MARKUP, "javascript:alert(1)"),
    )
    tags = Tags(html)

    assert "img" not in tags.names
    assert not [name for name, _ in tags.attributes if name.startswith("on")]
    links = [value for name, value in tags.attributes if name == "href"]
    assert all(link.startswith(("./", "../../", "#event-")) for link in links)


def test_the_page_loads_nothing_and_runs_its_own_script_alone():
    html = page(event())
    allowed = inline_script("report/table.js").allowed

    assert "default-src 'none'" in html
    assert f"script-src {allowed};" in unescape(html)
    assert {"link", "img", "use"} & set(Tags(html).names) == set()
    assert Tags(html).names.count("script") == 1
    assert "http" not in html.replace("http-equiv", "")


def test_a_mark_on_the_timeline_leads_to_its_event():
    html = page(event(), event("pump-1", 300, 302))

    assert html.index('href="#event-1"') < html.index('id="event-1"')
    assert 'aria-label="event 2, 05:00–05:02"' in html


def test_all_events_are_in_a_table_that_leads_to_their_plots():
    events = [event(f"pump-{number}") for number in range(30)]
    html = page(*events, entities=tuple(each.entity for each in events), n_events=900)

    assert html.count('class="card event"') == 25
    assert html.count('<tbody id="event-') == 5
    assert html.count('<tbody id="row-') == 25
    assert html.count('<a class="nowrap" href="#event-25">') == 1
    assert "The 30 highest events" in words(html)
    assert "870 more events are in the files below" in words(html)
    assert "900 events in at least 30 of 30 entities" in words(html)


def test_a_page_of_long_noisy_traces_and_1000_entities_is_at_most_3_mb():
    generator = np.random.default_rng(0)
    names = tuple(f"machine-{number:04d}" for number in range(1000))
    steps = 43_200  # half a day at 1 Hz, nothing in it smooth
    actual, expected, low, high = generator.normal(size=(4, steps))
    noisy = SensorTrace(
        name="noise", actual=actual, expected=expected, low=low, high=high, share=0.1
    )
    events = [
        event(name, 300, 350, times=MIDNIGHT + SECOND * np.arange(steps), sensors=[noisy] * 10)
        for name in names[:40]
    ]
    busy = timeline(names, bins=1440)
    busy.highest[:] = generator.uniform(0, 1.3, busy.highest.shape)

    html = render_events_report(report(events, entities=names, timeline=busy))
    assert len(html) <= 3_000_000


def test_values_without_a_place_on_an_axis_leave_gaps():
    huge = np.array([np.nan, np.inf, -np.inf, 1.7e308, -1.7e308, 0.0, 5e-324, 1.0])
    flat = np.full(8, np.nan)
    sensors = [
        SensorTrace(name="huge", actual=huge, expected=flat, low=flat, high=flat, share=1.0),
        SensorTrace(name="missing", actual=flat, expected=flat, low=flat, high=flat, share=0.0),
    ]
    times = MIDNIGHT + MINUTE * np.arange(8)
    html = page(event(start=1, end=5, times=times, sensors=sensors))

    assert not re.search(r'd="[^"]*(nan|inf)', html)
    assert "missing 0 % of the score: actual missing, expected missing, clean missing" in words(
        html
    )


def test_the_same_content_gives_the_same_bytes():
    assert page(event()) == page(event())


def test_a_zone_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"IANA name such as 'Europe/Berlin'\. Got 'Berlin'"):
        page(zone="Berlin")


def test_parts_that_do_not_fit_together_are_refused():
    with pytest.raises(ValueError, match=r"sensor 'Flow': .* must have one shape"):
        replace(trace("Flow"), low=np.zeros(3))
    with pytest.raises(ValueError, match=r"sensor 'Pressure' must have 10 values"):
        replace(event(), times=MIDNIGHT + np.arange(10))
    with pytest.raises(ValueError, match="start, peak, and end must ascend"):
        replace(event(), peak=0)
    with pytest.raises(ValueError, match=r"shape \(1, 2\), entities by bins"):
        Timeline(entities=("a",), edges=np.arange(3), highest=np.zeros((1, 3)))


def test_an_event_without_traces_is_listed_in_the_table():
    bare: EventView = replace(event(), sensors=())
    html = page(bare)

    assert '<tbody id="event-1" class="row"' in html
    assert SENSORS[1] not in words(html).replace(bare.cause, "")
