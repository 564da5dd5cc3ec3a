"""Times as people read them: local times of one zone, or step numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

SECOND = 10**9  # nanoseconds
MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND
LENGTHS = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"), (10**6, "ms"), (10**3, "µs"))


@dataclass(frozen=True)
class Clock:
    """Shows times (ns since 1970, UTC) in a zone; without a zone, times are step numbers."""

    zone: ZoneInfo | None

    @classmethod
    def of(cls, zone: str | None) -> Self:
        """Return the clock of a zone's IANA name. Raises ValueError if there is no such zone."""
        if zone is None:
            return cls(None)
        try:
            return cls(ZoneInfo(zone))
        except (ZoneInfoNotFoundError, ValueError) as exc:
            raise ValueError(
                f"zone must be an IANA name such as 'Europe/Berlin'. Got '{zone}' instead."
            ) from exc

    def local(self, at: int) -> datetime:
        """Return a time as a datetime of the zone, to the microsecond."""
        seconds, rest = divmod(at, SECOND)
        return (
            datetime.fromtimestamp(seconds, tz=UTC)
            .replace(microsecond=rest // 1000)
            .astimezone(self.zone)
        )

    def moment(self, at: int) -> str:
        """Return '2026-11-22 14:03', or 'step 1,200'."""
        if self.zone is None:
            return f"step {at:,}"
        return f"{self.local(at):%Y-%m-%d} {_time_of_day(self.local(at))}"

    def day(self, at: int) -> str:
        """Return '2026-11-22', or '' for steps."""
        return "" if self.zone is None else f"{self.local(at):%Y-%m-%d}"

    def period(self, start: int, end: int) -> str:
        """Return '14:03–14:37', with days where they differ, or 'steps 1,200–1,233'."""
        if self.zone is None:
            return f"steps {start:,}–{end:,}" if end > start else f"step {start:,}"
        first, last = self.local(start), self.local(end)
        marks = (
            [f" {each:%Z}" for each in (first, last)]
            if first.utcoffset() != last.utcoffset()
            else ["", ""]
        )
        texts = [_time_of_day(each) + mark for each, mark in zip((first, last), marks, strict=True)]
        if first.date() != last.date():
            return f"{first:%Y-%m-%d} {texts[0]} – {last:%Y-%m-%d} {texts[1]}"
        return "–".join(dict.fromkeys(texts))

    def length(self, start: int, end: int) -> str:
        """Return the time from start to end, such as '34 min' or '1 h 5 min'; '' for steps."""
        return "" if self.zone is None else format_length(end - start)


def format_length(nanoseconds: int) -> str:
    """Format a length of time in its two largest units; '' for zero.

    >>> format_length(3_900 * 10**9)
    '1 h 5 min'
    """
    parts = []
    rest = nanoseconds
    for unit, name in LENGTHS:
        times, rest = divmod(rest, unit)
        if times:
            parts.append(f"{times} {name}")
        if len(parts) == 2 or (parts and not times):
            break
    return " ".join(parts)


def _time_of_day(at: datetime) -> str:
    """Return '14:03', with seconds and milliseconds where they are not zero."""
    if at.microsecond:
        return f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}"
    return f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"
