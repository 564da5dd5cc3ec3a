"""The values that stand for the cells of a column in rows: numbers, keys of levels, and times.

They are those that the commands read from files of the same content.
"""

from __future__ import annotations

import re
import string
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from aemodel.frames.columns import CLOCKS, DATES, DURATIONS, TEXTS, TIME, FrameColumn
from aemodel.frames.written_values import in_iso
from aemodel.rows.layout import HOUR, NUMBER

SECONDS_A_DAY = 86_400
QUARTER = 900  # seconds; zones change their offset on a quarter of an hour
FIRST_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
FIXED_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
ISO_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)\d{0,3}"
    r" ?(?:Z|[+-]\d\d(?::?\d\d)?)?)?"
)
CLOCK = re.compile(r"\d\d:\d\d")
EPOCH_DAY = "1970-01-01"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Vector = NDArray[np.float64]


def values_of_kind(column: FrameColumn, kind: str) -> NDArray[Any]:
    """Return a column as what it is read, (n,); NaN for a gap."""
    if kind == NUMBER:
        return number_values(column)
    return clock_values(column, kind) if kind in TIME else column.levels[0]


def number_values(column: FrameColumn) -> NDArray[Any]:
    """Return numbers (n,): in float64 where there are gaps, or where NumPy has only objects."""
    values = column.values
    if column.content == DURATIONS:
        values = values.astype(np.int64)
    if not column.gaps.any() and values.dtype.kind in "iuf":
        return values
    return column.with_gaps(values[~column.gaps].astype(np.float64))


def clock_values(column: FrameColumn, kind: str) -> Vector:
    """Return the hour of the day, 0 to 24, or the weekday, 0 (Monday) to 6, (n,)."""
    seconds = moments_of(column)
    if kind == HOUR:
        return np.asarray(np.mod(seconds, SECONDS_A_DAY) / 3_600)
    return np.asarray(np.mod(np.floor(seconds / SECONDS_A_DAY) + FIRST_WEEKDAY, 7))


def moments_of(column: FrameColumn) -> Vector:
    """Return times (n,) as seconds since 1970 on the clock of their zone, NaN for a gap."""
    if column.content == CLOCKS:
        return column.with_gaps(np.array([_seconds_of_day(each) for each in column.filled]))
    if column.content == TEXTS:
        parsed = [parse_moment(text) for text in column.filled.tolist()]
        found = np.array(parsed, "datetime64[us]")
    elif column.values.dtype.kind == "O":
        found = np.array([_on_its_clock(each) for each in column.filled], "datetime64[us]")
    else:
        found = column.filled
    return column.with_gaps(_seconds(found, column))


def _seconds(moments: NDArray[np.datetime64], column: FrameColumn) -> Vector:
    """Return moments (m,) without gaps as seconds on the clock of the column's zone."""
    unit = np.datetime_data(moments.dtype)[0]
    if unit not in PER_SECOND:
        moments, unit = moments.astype("datetime64[s]"), "s"
    counts = moments.astype(np.int64)
    if column.zone and column.content != DATES and column.values.dtype.kind == "M":
        counts = counts + _offsets(counts // PER_SECOND[unit], column.zone) * PER_SECOND[unit]
    seconds = counts.astype(np.float64) / PER_SECOND[unit]
    return np.where(np.isnat(moments), np.nan, seconds)


def _offsets(seconds: NDArray[np.int64], zone: tzinfo | str) -> NDArray[np.int64]:
    """Return the offsets (m,) from UTC, in seconds, of a zone at moments (m,)."""
    quarters, places = np.unique(seconds // QUARTER, return_inverse=True)
    clock = _zone(zone) if isinstance(zone, str) else zone
    moments = (EPOCH + timedelta(seconds=int(each) * QUARTER) for each in quarters)
    found = [moment.astimezone(clock).utcoffset() or timedelta() for moment in moments]
    offsets = np.array([round(each.total_seconds()) for each in found], np.int64)
    return offsets[places] if len(offsets) else seconds


def _zone(name: str) -> tzinfo:
    """Return a zone by its name or offset; one that is not known here counts as UTC."""
    if fixed := FIXED_OFFSET.fullmatch(name):
        sign, hours, minutes = fixed.groups()
        size = timedelta(hours=int(hours), minutes=int(minutes))
        return timezone(size if sign == "+" else -size)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def parse_moment(text: str) -> datetime | None:
    """Parse a date, a time of day, or both together; None for what is none.

    They are in ISO 8601, or as `in_iso` can write them so.
    An offset from UTC is left out: the clock counts on which the time was written.
    """
    written = in_iso(text.strip(string.whitespace))
    dated = f"{EPOCH_DAY} {written}" if CLOCK.match(written) else written
    found = ISO_TIME.fullmatch(dated)
    try:
        return datetime.fromisoformat(" ".join(filter(None, found.groups()))) if found else None
    except ValueError:  # no such day or hour
        return None


def _on_its_clock(moment: Any) -> Any:
    return moment.replace(tzinfo=None) if isinstance(moment, datetime) else moment


def _seconds_of_day(moment: time) -> float:
    whole = moment.hour * 3_600 + moment.minute * 60 + moment.second
    return (whole * 10**6 + moment.microsecond) / 10**6
