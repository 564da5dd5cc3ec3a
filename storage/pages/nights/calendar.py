"""The page of a year of nights: a calendar of its verdicts, medians, new models, and a table."""

from __future__ import annotations

from calendar import month_abbr, monthrange
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median

from storage.nights.index.year_lists import newest_revisions, year_of
from storage.nights.summary import NightLine
from storage.pages import count, render
from storage.pages.nights.history import (
    KINDS,
    LEGEND,
    brief_count,
    night_words,
    read_whole,
    usual_night,
)

MISSING = "·"  # in place of a night


@dataclass(frozen=True)
class CalendarDay:
    """A day in the calendar.

    kind: a key of LEGEND, '' without a night; words then show whether one is missing.
    flagged: short, as '4k'. new_model: whether the night before had another.
    """

    day: int
    kind: str = ""
    link: str = ""
    words: str = ""
    flagged: str = ""
    new_model: bool = False


@dataclass(frozen=True)
class CalendarMonth:
    """One row of the calendar. usual: median of the flagged rows, '' without whole nights."""

    name: str
    days: Sequence[CalendarDay]
    usual: str


@dataclass(frozen=True)
class ListedNight:
    """The newest revision of a night, with the earlier ones.

    kind: a key of LEGEND. clean: how many rows clean data would have flagged, in words.
    """

    line: NightLine
    kind: str
    link: str
    clean: str
    superseded: Sequence[NightLine]
    new_model: bool


@dataclass(frozen=True)
class ModelChange:
    """The first night that another model than before scored."""

    date: str
    before: str
    after: str


def render_year(
    job: str, nights: Sequence[NightLine], *, years: Sequence[int], earlier: Sequence[NightLine]
) -> bytes:
    """Render the page of a year.

    nights: all its revisions, at least one. years: all that have nights, newest first. earlier: the
    last nights of the years before, newest revisions, oldest first.
    """
    newest = newest_revisions(nights)
    changes = _model_changes([*earlier[-1:], *newest])
    listed = list(_listed(nights, changes))
    return render(
        "index.html.j2",
        job=job,
        year=year_of(nights[0]),
        years=years,
        last=newest[-1],
        usual=usual_night([*earlier, *newest][:-1]),
        months=_months(newest, changes),
        figures=_figures(newest),
        changes=list(reversed(changes)),
        listed=listed,
        kinds=Counter(each.kind for each in listed),
        legend=LEGEND,
    )


def link_to_report(night: NightLine) -> str:
    """Return the path from the page to the report of a revision."""
    return f"{night.date}/rev={night.revision}/report.html"


def _kind(night: NightLine) -> str:
    return KINDS.get(night.verdict.split()[0], "none")


def _model_changes(nights: Sequence[NightLine]) -> list[ModelChange]:
    scored = [night for night in nights if night.model_id]
    return [
        ModelChange(night.date, before.model_id, night.model_id)
        for before, night in pairwise(scored)
        if before.model_id != night.model_id
    ]


def _listed(nights: Sequence[NightLine], changes: Sequence[ModelChange]) -> Iterator[ListedNight]:
    """Yield the newest revision of every date with the earlier ones, newest date first."""
    changed = {change.date for change in changes}
    ordered = sorted(nights, key=lambda night: (night.date, night.revision), reverse=True)
    for date, revisions in groupby(ordered, key=lambda night: night.date):
        night, *superseded = revisions
        link, is_new = link_to_report(night), date in changed
        yield ListedNight(night, _kind(night), link, _clean(night), superseded, is_new)


def _clean(night: NightLine) -> str:
    if night.expected is None or night.limit is None:
        return "–"
    return f"{night.expected:.1f}, up to {count(night.limit)}"


def _months(newest: Sequence[NightLine], changes: Sequence[ModelChange]) -> list[CalendarMonth]:
    """Return the months from the first night to the last one."""
    by_date = {night.date: night for night in newest}
    changed = {change.date for change in changes}
    first, last = (int(night.date[5:7]) for night in (newest[0], newest[-1]))
    year = year_of(newest[0])
    return [
        CalendarMonth(
            month_abbr[month],
            list(_days(year, month, by_date, changed)),
            _median([night for night in newest if int(night.date[5:7]) == month]),
        )
        for month in range(first, last + 1)
    ]


def _days(
    year: int, month: int, by_date: dict[str, NightLine], changed: set[str]
) -> Iterator[CalendarDay]:
    last = max(by_date)
    for day in range(1, monthrange(year, month)[1] + 1):
        date = f"{year:04d}-{month:02d}-{day:02d}"
        night = by_date.get(date)
        if night is None:
            yield CalendarDay(day, words=MISSING if date < last else "")
        else:
            new_model = night.date in changed
            words = night_words(night) + (f", new model {night.model_id}" if new_model else "")
            flagged = brief_count(night.flagged) if night.rows else ""
            yield CalendarDay(day, _kind(night), link_to_report(night), words, flagged, new_model)


def _median(nights: Sequence[NightLine]) -> str:
    flagged = [night.flagged for night in nights if read_whole(night)]
    return f"{median(flagged):,.10g}" if flagged else ""


def _figures(newest: Sequence[NightLine]) -> dict[str, str]:
    """Return the figures of the year, by what they are."""
    whole = [night for night in newest if read_whole(night)]
    bounded = [night for night in whole if night.limit is not None]
    above = sum(night.flagged > (night.limit or 0) for night in bounded)
    figures = {"nights": count(len(newest)), "flagged, median": _median(newest) or "–"}
    if whole:
        figures["rows, median"] = count(round(median(night.rows for night in whole)))
    if bounded:
        figures["above clean data"] = f"{above:,} of {len(bounded):,} nights"
    return figures
