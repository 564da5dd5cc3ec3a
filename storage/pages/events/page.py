"""events.html: the first screen, the timeline, the plots, and how it was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from storage.pages import count, render
from storage.pages.events.clock import Clock
from storage.pages.events.event_plots import EventPlot, plot_event
from storage.pages.events.lanes import LEVELS, Lanes, draw_lanes
from storage.pages.events.report import EventsReport, EventView
from storage.pages.nights.history import LEGEND
from storage.pages.nights.listed import LabelName, names_in_labels
from storage.pages.scripts import inline_script

MOST_WORST = 5  # events on the first screen
MOST_PLOTS = 25
MOST_LISTED = 500  # events in the page; the files beside it have all

WORRY = {
    "OK": "Nothing to do.",
    "REVIEW": "Look at the events below, worst first.",
    "FLOOD": "Far more events than clean data gives: look for one common cause first, such as a "
    "changed sensor, unit, or operating mode.",
    "DRIFT": "The data have moved as a whole: find out what changed before you trust the events.",
    "PARTIAL": "Not everything was judged: the events are provisional.",
    "NO DATA": "Check whether the data have arrived; a later run scores them.",
    "FAILED": "Fix the cause and run it again.",
}


@dataclass(frozen=True)
class ListedEvent:
    """One event as the page shows it, in the zone of the page.

    day: '' if the event spans midnight; `when` then has both days.
    cell, number: how a label file names the event, see `names_in_labels`.
    """

    rank: int
    event: EventView
    when: str
    day: str
    length: str
    peak: str
    cell: str
    number: str
    plot: EventPlot | None


def render_events_report(report: EventsReport) -> bytes:
    """Render the page of a night of a series job, as HTML.

    Raises:
        ValueError: if the report's zone does not exist.
    """
    clock = Clock.of(report.zone)
    shown = report.events[:MOST_LISTED]
    names = names_in_labels([(event.id, event.row) for event in report.events])
    listed = [
        _listed(rank, event, name, clock)
        for rank, (event, name) in enumerate(zip(shown, names, strict=False), 1)
    ]
    return render(
        "events.html.j2",
        report=report,
        headline=_headline(report),
        advice=_advice(report.verdict),
        window=_window(report, clock),
        worst=listed[:MOST_WORST],
        listed=listed,
        script=inline_script("report/table.js"),
        lanes=_lanes(report, clock),
        levels=LEVELS,
        legend=LEGEND,
        has_entities=bool(report.entity_name),
        made={"model": report.model_id, **report.settings},
    )


def _headline(report: EventsReport) -> str:
    """Return the first sentence, such as '3 events in 2 of 3 entities'."""
    if report.verdict.startswith("NO DATA"):
        return f"No data for {report.date}"
    if not report.scored:
        return f"Nothing was scored for {report.date}"
    if not report.n_events:
        return f"No events in {count(report.rows)} rows"
    events = f"{count(report.n_events)} event{'' if report.n_events == 1 else 's'}"
    if not report.entity_name:
        return f"{events} in {count(report.rows)} rows"
    touched = len({event.entity for event in report.events})
    least = "at least " if len(report.events) < report.n_events else ""
    noun = "entity" if report.n_entities == 1 else "entities"
    return f"{events} in {least}{touched:,} of {count(report.n_entities)} {noun}"


def _advice(verdict: str) -> str:
    """Return what to do about a verdict; '' for one without a rule."""
    return next((text for start, text in WORRY.items() if verdict.startswith(start)), "")


def _window(report: EventsReport, clock: Clock) -> str:
    """Return the time that the data cover."""
    if report.timeline is None or not report.scored:
        return ""
    first, last = int(report.timeline.edges[0]), int(report.timeline.edges[-1])
    if clock.zone is None:
        return clock.period(first, last)
    return f"{clock.moment(first)} – {clock.moment(last)}"


def _lanes(report: EventsReport, clock: Clock) -> Lanes | None:
    if report.timeline is None or not len(report.timeline.entities):
        return None
    return draw_lanes(report.timeline, report.events, clock)


def _listed(rank: int, event: EventView, name: LabelName, clock: Clock) -> ListedEvent:
    return ListedEvent(
        rank=rank,
        event=event,
        when=clock.period(event.start, event.end),
        day=clock.day(event.start) if clock.day(event.start) == clock.day(event.end) else "",
        length=_length(event, clock),
        peak=clock.period(event.peak, event.peak),
        cell=name.cell,
        number=name.number,
        plot=plot_event(event, clock) if rank <= MOST_PLOTS else None,
    )


def _length(event: EventView, clock: Clock) -> str:
    """Return '34 min, 35 rows'."""
    rows = f"{event.rows:,} row{'' if event.rows == 1 else 's'}"
    parts: Sequence[str] = [clock.length(event.start, event.end), rows]
    return ", ".join(filter(None, parts))
