"""How many false events are allowed: so many in so much time of clean data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from aemodel.errors import SettingsError

SECONDS = {"min": 60, "h": 3_600, "d": 86_400}
NAMES = {"min": "minute", "h": "hour", "d": "day"}


@dataclass(frozen=True)
class EventRate:
    """At most `count` false events in `number` units of clean data; without a unit, of rows."""

    count: int
    number: int
    unit: str = ""

    @classmethod
    def parse(cls, text: str) -> EventRate:
        """Parse '1/7d', '2/12h', '1/30min' or, in rows, '1/10000'. Raises SettingsError."""
        match = re.fullmatch(r"([1-9]\d{0,5})/([1-9]\d{0,11})(d|h|min)?", text.strip())
        if not match:
            raise SettingsError(
                "score.rule must look like 'events 1/7d': so many false events in so many days "
                f"(d), hours (h), minutes (min), or rows (no unit). Got 'events {text}' instead."
            )
        return cls(int(match[1]), int(match[2]), match[3] or "")

    def __str__(self) -> str:
        return f"{self.count}/{self.number}{self.unit}"

    def rows(self, step: float) -> Fraction:
        """Rows of one series in the period; step: seconds between rows."""
        if not self.unit:
            return Fraction(self.number)
        exact = Fraction(str(float(step)))  # 0.3 as written, not the binary number below it
        return self.number * SECONDS[self.unit] / exact

    @property
    def words(self) -> str:
        """As people say it: 'at most 1 false event in 7 days'."""
        events = "event" if self.count == 1 else "events"
        unit = NAMES.get(self.unit, "row") + ("" if self.number == 1 else "s")
        return f"at most {self.count} false {events} in {self.number:,} {unit} of clean data"
