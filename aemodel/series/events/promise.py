"""The cut of a rule on series, and what it promises: false events per time of clean data."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from aemodel.series.calibration import Calibration
from aemodel.series.events.event_rate import EventRate


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
    at_once = max(at_once, 1.0)
    n, stretch = len(calibration.highest), Fraction(calibration.stretch)
    rows = rate.rows(step) * Fraction(at_once)
    j = int(rate.count * (n + 1) * stretch / rows)
    if j < 1 or not n:
        return EventCut(
            float("inf"), False, _too_few(rate, calibration, rows=rows, step=step, at_once=at_once)
        )
    score = float(calibration.highest[-min(j, n)])
    stretches = f"{n:,} clean stretches of {calibration.stretch:,.0f} rows"
    return EventCut(score, True, f"{rate.words.capitalize()}, by {stretches}.")


def _too_few(
    rate: EventRate, calibration: Calibration, *, rows: Fraction, step: float, at_once: float
) -> str:
    needed = ceil(rows / rate.count)
    time = f" ({_days(needed / at_once * step)})" if rate.unit else ""
    return (
        f"Ranking only: {calibration.rows:,} clean rows are too few for 'events {rate}'; about "
        f"{needed:,}{time} are needed. Add clean rows and train again, or allow more false events."
    )


def _days(seconds: float) -> str:
    """Show a duration in the unit that fits: '7 days', '36 hours', '20 minutes'."""
    for unit, length in (("days", 86_400), ("hours", 3_600)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds / 60:.3g} minutes"
