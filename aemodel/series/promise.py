"""The cut of a rule on series, and what it promises: false events per time of clean data."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from aemodel.series.calibration import Calibration
from aemodel.series.event_rate import EventRate


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
