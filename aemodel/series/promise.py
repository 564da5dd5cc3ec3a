"""The cut of a rule on series, and what it promises: false events per time of clean data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from aemodel.errors import SettingsError
from aemodel.series.calibration import Calibration

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
        return Fraction(self.number * SECONDS.get(self.unit, 1)) / Fraction(
            step if self.unit else 1
        )

    @property
    def words(self) -> str:
        """As people say it: 'at most 1 false event in 7 days'."""
        events = "event" if self.count == 1 else "events"
        unit = NAMES.get(self.unit, "row") + ("" if self.number == 1 else "s")
        return f"at most {self.count} false {events} in {self.number:,} {unit} of clean data"


@dataclass(frozen=True)
class EventCut:
    """score: events that peak above it count. expected: false events in the period, at most.

    promise: in words, or why there is none.
    """

    score: float
    promises: bool
    promise: str


def cut_of_rate(
    rate: EventRate, calibration: Calibration, *, step: float, at_once: float
) -> EventCut:
    """Return the cut that keeps false events below a rate, over all series together.

    Of n clean stretches, the j-th highest is exceeded by a new one with a chance of at most
    j / (n + 1); a period has `at_once` times its rows in stretches, so j is the largest number for
    which their expected number is at most `rate.count`.

    step: seconds between rows. at_once: how many series run at the same time.
    """
    n, stretch = len(calibration.highest), Fraction(calibration.stretch)
    rows = rate.rows(step) * Fraction(max(at_once, 1.0))
    j = int(rate.count * (n + 1) * stretch / rows)
    if j < 1 or not n:
        return EventCut(float("inf"), False, _too_few(rate, calibration, step=step, rows=rows))
    score = float(calibration.highest[-min(j, n)])
    return EventCut(score, True, f"{rate.words}, by {n:,} clean stretches of {calibration.stretch:,.0f} rows")


def _too_few(rate: EventRate, calibration: Calibration, *, step: float, rows: Fraction) -> str:
    needed = ceil(rows / rate.count)
    return (
        f"{calibration.rows:,} clean rows are too few for 'events {rate}': about {needed:,} are "
        "needed. Add clean rows and train again, or allow more false events."
    )
