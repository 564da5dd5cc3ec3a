"""Columns of a series that are parts of its time, such as year or hour: they are no sensors."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.sources.columns.kinds import numbers_in
from storage.sources.series.key_values import read_times
from storage.sources.series.recognize import joined_batches
from storage.sources.tables import TableSource

MOST_BATCHES, MOST_ROWS = 20, 2_000  # that are read, and that are compared
HALF_HOURS = range(-24, 29)  # of time zones from UTC
MOST_YEAR = 10_000
ALIKE = 0.99  # share of rows in which a column is a part of the time

Times = NDArray[np.datetime64]
Numbers = NDArray[np.float64]
Parts = NDArray[np.int64]


def calendar_columns(source: TableSource, time: str, names: list[str]) -> list[str]:
    """Return those of `names`, columns of numbers, that are a part of the times in another one.

    In any time zone, with daylight saving or without.
    """
    batches = list(islice(source.column_batches([time, *names]), MOST_BATCHES))
    rows = joined_batches(batches)
    rows = rows.take(np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).astype(np.int64))
    ticks, known = read_times(rows.column(time).combine_chunks(), numbers=False)
    times: Times = ticks[known].astype("datetime64[ns]").astype("datetime64[s]")
    zones = [dict(_parts(times + np.timedelta64(30 * step, "m"))) for step in HALF_HOURS]
    return [name for name in names if _is_part(name, _numbers(rows.column(name))[known], zones)]


def _numbers(column: pa.ChunkedArray) -> Numbers:
    values = numbers_in(column.combine_chunks()).to_numpy(zero_copy_only=False)
    return np.asarray(values, np.float64)


def _is_part(name: str, values: Numbers, zones: list[dict[str, Parts]]) -> bool:
    """Whether values (n,) are one part of the time in a zone, or in that and the next one."""
    fits = (values >= 0) & (values < MOST_YEAR) & (values % 1 == 0)
    if not (len(values) and fits.all()):
        return False
    same = np.ptp(values) == 0  # which any part of few days may equal by chance
    for part in zones[0]:
        equal = [values == zone[part] for zone in zones]
        pairs = zip(equal, equal[2:] + equal[-2:], strict=True)  # an hour apart
        found = any((one | other).mean() >= ALIKE for one, other in pairs)
        if found and (not same or name.lower() == part):
            return True
    return False


def _parts(times: Times) -> Iterator[tuple[str, Parts]]:
    """Yield the parts of times (n,) and their names."""
    years, months, days, hours, minutes = (
        times.astype(f"datetime64[{unit}]").astype(np.int64) for unit in "YMDhm"
    )
    yield "year", years + 1970
    yield "month", months % 12 + 1
    yield "day", days - _first_days(times, "M") + 1
    yield "day of the year", days - _first_days(times, "Y") + 1
    yield "weekday, Monday 0", (days + 3) % 7  # 1970-01-01 was a Thursday
    yield "weekday, Monday 1", (days + 3) % 7 + 1
    yield "weekday, Sunday 0", (days + 4) % 7
    yield "weekday, Sunday 1", (days + 4) % 7 + 1
    thursdays = days - (days + 3) % 7 + 3  # of the same ISO week, whose year is theirs
    yield "week", (thursdays - _first_days(thursdays.astype("datetime64[D]"), "Y")) // 7 + 1
    yield "quarter", months % 12 // 3 + 1
    yield "hour", hours % 24
    yield "minute", minutes % 60


def _first_days(times: Times, unit: str) -> Parts:
    """Return the first days (n,) of the years, Y, or months, M, of times (n,), since 1970."""
    return times.astype(f"datetime64[{unit}]").astype("datetime64[D]").astype(np.int64)
