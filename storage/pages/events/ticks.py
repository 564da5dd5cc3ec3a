"""Ticks of axes: round values, round local times, round step numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from storage.pages.events.clock import DAY, HOUR, MINUTE, SECOND, Clock

NARROW = 4  # ticks that fit the width of a phone
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
TIME_STEPS = (
    *(count * SECOND for count in (1, 2, 5, 10, 15, 30)),
    *(count * MINUTE for count in (1, 2, 5, 10, 15, 30)),
    *(count * HOUR for count in (1, 2, 3, 6, 12)),
    *(count * DAY for count in (1, 2, 7, 14, 30, 60, 180, 365)),
)


@dataclass(frozen=True)
class Tick:
    """place: percent of the axis's length, from its start. minor: left out where it is narrow."""

    place: float
    label: str
    minor: bool = False


def value_ticks(low: float, high: float, most: int) -> list[Tick]:
    """Return at most `most` ticks at round values of [low, high], low < high."""
    step = round_step(high / most - low / most)  # their difference may overflow
    first = math.ceil(low / step)
    values = [number * step for number in range(first, math.floor(high / step) + 1)]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    plain = decimals <= 4 and max(abs(low), abs(high)) < 1e6
    return [
        Tick(
            100 * (value / 2 - low / 2) / (high / 2 - low / 2),
            f"{value + 0.0:,.{decimals}f}" if plain else f"{value:.4g}",
        )
        for value in values
    ]


def round_step(step: float) -> float:
    """Return the smallest 1, 2 or 5 times a power of ten that is at least `step`.

    >>> round_step(0.13)
    0.2
    """
    power = 10.0 ** math.floor(math.log10(step))
    return next(times * power for times in (1, 2, 5, 10) if times * power >= step * 0.999999)


def time_ticks(clock: Clock, start: int, end: int, *, most: int) -> list[Tick]:
    """Return at most about `most` ticks between two times; no more than four are not minor."""
    span = max(1, end - start)
    if clock.zone is None or span < 2 * SECOND:
        found = _even_ticks(clock, start, end, most)
    else:
        found = _local_ticks(clock, start, end, most)
    inside = [(at, label) for at, label in found if start <= at <= end]
    every = -(-len(inside) // NARROW)
    return [
        Tick(100 * (at - start) / span, label, minor=number % every > 0)
        for number, (at, label) in enumerate(inside)
    ]


def _even_ticks(clock: Clock, start: int, end: int, most: int) -> list[tuple[int, str]]:
    """Return steps, or parts of a second."""
    step = max(1, round(round_step(max(1, (end - start) / most))))
    places = range(-(-start // step) * step, end + 1, step)
    if clock.zone is None:
        return [(at, f"{at:,}") for at in places]
    return [(at, f"{at % MINUTE / SECOND:.6g} s") for at in places]


def _local_ticks(clock: Clock, start: int, end: int, most: int) -> list[tuple[int, str]]:
    """Return round local times: none that a clock change skips, twice those that it repeats."""
    step = next((each for each in TIME_STEPS if each * most >= end - start), TIME_STEPS[-1])
    first, last = clock.local(start), clock.local(end)
    around = timedelta(hours=0 if first.utcoffset() == last.utcoffset() else 1)
    midnight = first.replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    stride = timedelta(microseconds=step // 1000)
    number = (first.replace(tzinfo=None) - around - midnight) // stride
    found = {}
    while (wall := midnight + number * stride) <= last.replace(tzinfo=None) + around:
        for at in (_instant(clock, wall, fold=0), _instant(clock, wall, fold=1)):
            if clock.local(at).replace(tzinfo=None, fold=0) == wall:
                found[at] = _tick_label(wall, step)
        number += 1
    return sorted(found.items())


def _instant(clock: Clock, wall: datetime, *, fold: int) -> int:
    """Return the time (ns since 1970, UTC) at which a clock of the zone shows `wall`."""
    return int(wall.replace(tzinfo=clock.zone, fold=fold).timestamp()) * SECOND


def _tick_label(wall: datetime, step: int) -> str:
    if wall.hour == wall.minute == wall.second == 0:
        return f"{MONTHS[wall.month - 1]} {wall.day}"
    return f"{wall:%H:%M:%S}" if step < MINUTE else f"{wall:%H:%M}"
