"""Do the rows of a table look like series, and of which columns?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.sources.columns.kinds import holds_text
from storage.sources.series.key_values import (
    NO_ENTITY,
    EntityCodes,
    Ticks,
    are_numbers,
    orders_rows,
    read_times,
)
from storage.sources.series.keys import KeyColumns
from storage.sources.series.order import FILE, TICKS_A_SECOND, SeriesOrder, show_step
from storage.sources.source import Source
from storage.sources.tables import TableSource

SAMPLED_ROWS, MOST_COLUMNS = 200_000, 200
FEWEST_ROWS = 30  # with fewer, nothing is regular
FEWEST_OF_ENTITY = 10  # rows, on average
MOST_REPEATED = 0.01  # share of the rows that have the time of the row before
NEAR, MOST_FAR = 0.5, 0.25  # steps within half of the typical one are near; so many may be far
MOST_BACK = 0.01  # share of the rows that lie before the row before them
GAP_STEPS = 10  # a pause of more typical steps is proposed to start a new segment
TIME_NAME = re.compile(
    r"^(t|ts|time|times|timestamp|time_?stamp|date_?time|epoch|unix_?time|seconds|secs?|ticks?)"
    r"(_?(s|ms|us|ns|utc|sec|seconds))?$",
    re.IGNORECASE,
)
ROUND_GAPS = [
    *(1, 2, 5, 10, 15, 30),
    *(60 * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    *(3_600 * hours for hours in (1, 2, 3, 6, 12)),
]
DAY = 86_400
WEEKENDS = 0.15  # share of daily steps that are far: a fifth where only working days have rows


@dataclass(frozen=True)
class SeriesProposal:
    """How the rows of a table form series.

    step: typical time between rows, in the unit of `order.gap`. in_seconds: whether that is
    seconds, not the unit of a column of numbers. irregular: share of steps far from it. reason: a
    sentence.
    """

    order: SeriesOrder
    step: float
    in_seconds: bool
    irregular: float
    reason: str

    @property
    def skips_weekends(self) -> bool:
        """Whether only working days have rows."""
        return self.in_seconds and self.step == DAY and self.irregular > WEEKENDS


class _Fit(NamedTuple):
    """How well rows form series: shares of rows, see the limits above, and of unequal steps."""

    entity: str
    entities: int
    step: float
    back: float
    repeated: float
    far: float

    @property
    def is_series(self) -> bool:
        limits = self.back <= MOST_BACK and self.repeated <= MOST_REPEATED
        return limits and self.far <= MOST_FAR and self.step > 0


def recognize_series(source: Source) -> SeriesProposal | None:
    """Return how the rows of a table form series, by its first rows; None if they form none.

    Times must increase in regular steps, over all rows, or over those of each value of a column, or
    over those of each file. What an array's rows mean, it does not tell.
    """
    if not isinstance(source, TableSource) or source.n_rows < FEWEST_ROWS:
        return None
    sample = _read_sample(source)
    for name in _time_columns(sample):
        column = sample.column(name)
        numbers = bool(are_numbers(column))
        times, known = read_times(column, numbers=numbers)
        if known.mean() < 1 - MOST_BACK:
            continue
        fits = [_fit(entity, codes, times) for entity, codes in _entities(source, sample, name)]
        if best := _best([fit for fit in fits if fit is not None and fit.is_series]):
            return _proposal(name, best, numbers=numbers)
    return None


@dataclass(frozen=True)
class SeriesExtent:
    """How much there is of series: rows, those of the longest one, and how many at a time."""

    rows: int
    longest: int
    at_once: float


def measure_extent(source: TableSource, proposal: SeriesProposal) -> SeriesExtent:
    """Read times and entities of all rows, in any order, once."""
    reader, start = KeyColumns(source, proposal.order), 0
    firsts, lasts, counts = np.empty(0), np.empty(0), np.empty(0, np.int64)
    for columns in source.column_batches(proposal.order.columns):
        codes, times = reader.read(columns, start, columns.num_rows)
        start += columns.num_rows
        new = len(reader.names) - len(counts)
        firsts, lasts = np.append(firsts, [np.inf] * new), np.append(lasts, [-np.inf] * new)
        placed = codes != NO_ENTITY
        codes, ticks = codes[placed], times[placed].astype(np.float64)
        np.minimum.at(firsts, codes, ticks)
        np.maximum.at(lasts, codes, ticks)
        counts = np.append(counts, np.zeros(new, np.int64))
        counts += np.bincount(codes, minlength=len(counts))
    known = counts > 0
    firsts, lasts = firsts[known], lasts[known]
    step = proposal.step * (TICKS_A_SECOND if proposal.in_seconds else 1)
    together = float((lasts - firsts + step).sum()) / (float(lasts.max() - firsts.min()) + step)
    return SeriesExtent(int(counts.sum()), int(counts.max()), max(1.0, together))


def _read_sample(source: TableSource) -> pa.RecordBatch:
    """Return the first rows, in columns that may order rows."""
    names = list(source.columns_in(source.files[0]))[:MOST_COLUMNS]
    batches, rows = [], 0
    for batch in source.column_batches([name for name in names if name]):
        batches.append(batch)
        rows += batch.num_rows
        if rows >= SAMPLED_ROWS:
            break
    table = joined_batches(batches).combine_chunks()
    return table.to_batches()[0] if table.num_rows else batches[0]


def joined_batches(batches: Sequence[pa.RecordBatch]) -> pa.Table:
    """Return rows of several files in one table; those of the first one if types do not agree.

    A column of whole numbers in one file may hold decimals, or nothing, in another.
    """
    tables = [pa.Table.from_batches([each]) for each in batches]
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        schema = tables[0].schema
        return pa.concat_tables(takewhile(lambda each: each.schema == schema, tables))


def _time_columns(sample: pa.RecordBatch) -> list[str]:
    """Return columns that may be times: those of times, then text, then numbers by their names."""
    kinds = {name: sample.schema.field(name).type for name in sample.schema.names}
    times = [name for name, kind in kinds.items() if pa.types.is_temporal(kind)]
    texts = [
        name
        for name, kind in kinds.items()
        if holds_text(kind) and are_numbers(sample.column(name)) is False
    ]
    numbers = [
        name
        for name, kind in kinds.items()
        if name not in (*times, *texts) and TIME_NAME.match(name) and orders_rows(kind)
    ]
    return [*times, *texts, *numbers]


def _entities(
    source: TableSource, sample: pa.RecordBatch, time: str
) -> Iterator[tuple[str, NDArray[np.int32]]]:
    """Yield what may tell series apart, and the entity (n,) of each row by it."""
    count = sample.num_rows
    yield "", np.zeros(count, np.int32)
    for name in sample.schema.names:
        column = sample.column(name)
        whole = pa.types.is_integer(column.type)
        if name != time and (whole or holds_text(column.type)):
            distinct = len(column.unique())
            if 1 < distinct <= count / FEWEST_OF_ENTITY:
                yield name, EntityCodes().codes(column)
    files = np.searchsorted(source.starts, np.arange(count), side="right") - 1
    if files[-1]:
        yield FILE, files.astype(np.int32)


def _fit(entity: str, codes: NDArray[np.int32], times: Ticks) -> _Fit | None:
    if (codes == NO_ENTITY).any():
        return None
    order = np.argsort(codes, kind="stable")
    codes, times = codes[order], times[order]
    steps = np.diff(times)[codes[1:] == codes[:-1]]
    ahead = steps[steps > 0]
    if not len(ahead):
        return None
    step = float(np.median(ahead))
    far = float((np.abs(ahead - step) > NEAR * step).mean())
    back, repeated = float((steps < 0).mean()), float((steps == 0).mean())
    return _Fit(entity, int(codes.max()) + 1, step, back, repeated, far)


def _best(fits: list[_Fit]) -> _Fit | None:
    """Return the simplest of those whose times seldom go back, by column the most regular one."""
    least = min((fit.back for fit in fits), default=0.0)
    ordered = [fit for fit in fits if fit.back <= 2 * least]
    if ordered and not ordered[0].entity:
        return ordered[0]
    return min(ordered, key=lambda fit: (fit.entity == FILE, fit.far), default=None)


def _proposal(name: str, fit: _Fit, *, numbers: bool) -> SeriesProposal:
    step = fit.step if numbers else fit.step / TICKS_A_SECOND
    gap = _round_gap(GAP_STEPS * step) if not numbers else GAP_STEPS * step
    within = {"": "", FILE: f" within each of {fit.entities:,} files"}.get(
        fit.entity, f" within each of {fit.entities:,} values of {fit.entity}"
    )
    share = f"{1 - fit.far:.1%}" if fit.far else "all"
    shown = show_step(step, in_seconds=not numbers)
    reason = f"{name} increases{within} in steps of about {shown} ({share} of the rows read)"
    order = SeriesOrder(name, fit.entity, gap)
    return SeriesProposal(order, step, not numbers, fit.far, reason)


def _round_gap(seconds: float) -> float:
    """Return a round duration that is at least as long."""
    if seconds < 1:
        return seconds
    longer = (float(gap) for gap in ROUND_GAPS if gap >= seconds)
    return next(longer, float(np.ceil(seconds / DAY) * DAY))
