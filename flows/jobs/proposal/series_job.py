"""init where rows form series: the sections of a job that judges them in windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil

from aemodel.series.events.event_rate import EventRate
from aemodel.series.settings import SMALLEST
from flows.jobs.proposal.calendar_columns import calendar_columns
from flows.jobs.proposal.data_section import Input
from flows.jobs.proposal.proposed_settings import key_line, quoted
from storage.errors import SourceError
from storage.sources import NUMBER, Source, list_unread, named_features
from storage.sources.series.opening import NO_NUMBER
from storage.sources.series.order import FILE, show_step
from storage.sources.series.recognize import (
    SeriesExtent,
    SeriesProposal,
    measure_extent,
    recognize_series,
)
from storage.sources.tables import TableSource

SLOW_RATES = ("1/3650d", "1/1000d", "1/365d", "1/90d", "1/30d")  # rows hours or days apart
RATES = ("1/7d", "1/1d", "1/12h", "1/6h", "1/1h")
ENOUGH_ROWS, FEWEST_ROWS = 500, 10  # of one series in the period of a rate
ROW_RATES = ("1/1000000", "1/100000", "1/10000", "1/1000")
CALIBRATED = 0.8  # of the clean rows at least: pieces that are cut short are left out
FEWEST_WINDOWS = 4  # of the smallest kind in the longest series: with fewer, none is held out
HIDDEN, EPOCHS, BATCH = 32, 5, 1_024
IRREGULAR = 0.02  # share of steps far from the typical one that is worth a grid


@dataclass(frozen=True)
class ProposedSeries:
    """How rows form series, and how much there is of them.

    rows: which are read. source: the columns that windows see.
    """

    proposal: SeriesProposal
    extent: SeriesExtent
    rows: Input
    source: Source

    @property
    def sensors(self) -> tuple[str, ...]:
        """The columns that windows see."""
        return self.source.schema.columns

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that order rows."""
        return self.proposal.order.columns


def propose_series(source: Source, rows: Input) -> ProposedSeries | None:
    """Return how the rows of a table form series that windows can judge; None if they do not."""
    found = recognize_series(source)
    if found is None or not isinstance(source, TableSource):
        return None
    extent = measure_extent(source, found)
    if extent.longest < FEWEST_WINDOWS * SMALLEST:
        return None
    parts = calendar_columns(source, found.order.time, _numbers(source)) if found.in_seconds else []
    if parts:
        rows = replace(rows, ignore=tuple(parts), why_ignored="parts of the time, no sensors")
    try:
        numbers = rows.open_numbers(found.order)
    except SourceError:  # no column that a window can see
        return None
    return ProposedSeries(found, extent, rows, numbers)


def _numbers(source: Source) -> list[str]:
    """Return the columns of numbers."""
    return [each.name for each in named_features(source.schema) if each.kind == NUMBER]


def unread_columns(series: ProposedSeries) -> Iterator[tuple[str, list[str]]]:
    """Yield what to say of columns that are not read, and which they are."""
    told = {*series.columns, *series.rows.ignore}
    others = {name: why for name, why in series.source.unread.items() if name not in told}
    unread = {name: why for name, why in others.items() if why != NO_NUMBER}
    yield "columns not read", [list_unread(unread)] if unread else []
    yield NO_NUMBER, [repr(name) for name in others if name not in unread]


def series_section(series: ProposedSeries) -> list[str]:
    """The section [series], with the reasons."""
    found, order = series.proposal, series.proposal.order
    return [
        "[series]",
        key_line("time", quoted(order.time), found.reason),
        *_entity(order.entity),
        key_line("window", '"auto"', "128 rows, or fewer where the clean series are short"),
        key_line("gap", _duration(series, order.gap), "no window crosses a longer pause"),
        *_grid(series),
    ]


def _entity(entity: str) -> Iterator[str]:
    if entity == FILE:
        why = "each file is a series of its own; files of a night are known by their names"
        yield key_line("entity", quoted(entity), why)
    elif entity:
        yield key_line("entity", quoted(entity), "each of its values is a series of its own")


def _grid(series: ProposedSeries) -> Iterator[str]:
    found = series.proposal
    if found.irregular > IRREGULAR and not found.skips_weekends:
        yield f"# {found.irregular:.1%} of the steps are far from that: for a regular grid, set"
        yield f"# resample = {_duration(series, found.step)}"


def _duration(series: ProposedSeries, value: float) -> str:
    if not series.proposal.in_seconds:
        return f"{value:g}"
    return quoted(show_step(value, in_seconds=True))


def series_model_sections(series: ProposedSeries) -> list[str]:
    """[model], [train] and [score]: windows judge, and a small network encodes rows."""
    latent = ceil(len(series.sensors) / 2)
    return [
        "[model]",
        key_line("hidden", f"[{HIDDEN}]", "windows judge; this network serves 'encode' alone"),
        key_line("latent", str(latent), f"half as many as columns: {len(series.sensors):,}"),
        key_line("scaling", '"standard"', "each column has its own scale"),
        key_line("output", '"identity"', "as the scaled values, in any range"),
        key_line("loss", '"mse"', "the error that stores are measured by"),
        "",
        "[train]",
        key_line("epochs", str(EPOCHS), "few; raise it where stores should be smaller"),
        key_line("batch_size", str(BATCH), "rows per step"),
        "",
        "[score]",
        _rule(series),
        key_line("top_n", "100", "events that are explained, at least, if there are as many"),
    ]


def _rule(series: ProposedSeries) -> str:
    have = series.extent.rows * CALIBRATED
    rates = _rates(series.proposal.step) if series.proposal.in_seconds else ROW_RATES
    honored = next((text for text in rates if _needed(series, text) <= have), "")
    if not honored:
        why = f"{series.extent.rows:,} clean rows are too few for a promise: events are ranked"
        return key_line("rule", '"top"', why)
    why = EventRate.parse(honored).words
    if honored != rates[0]:
        stricter = rates[rates.index(honored) - 1]
        rows = ceil(_needed(series, stricter) / CALIBRATED)
        why += f"; 'events {stricter}' needs about {rows:,} rows"
    return key_line("rule", f'"events {honored}"', why)


def _rates(step: float) -> Sequence[str]:
    """Return rates, strictest first: from one in 7 days, or in more where rows are far apart.

    step: seconds between rows.
    """
    rows = {text: EventRate.parse(text).rows(step) for text in (*SLOW_RATES, *RATES)}
    enough = [text for text in (*SLOW_RATES, RATES[0]) if rows[text] >= ENOUGH_ROWS]
    strictest = rows[enough[-1]] if enough else max(rows.values())
    return [text for text, count in rows.items() if FEWEST_ROWS <= count <= strictest]


def _needed(series: ProposedSeries, text: str) -> float:
    """Return how many clean rows a rate of events needs."""
    return float(EventRate.parse(text).rows(series.proposal.step)) * series.extent.at_once
