"""Thirty kinds of clean tables, and days that differ from each other.

Each function draws `n` rows (n, d) float64; columns and their dependence are the same every time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

Random = np.random.Generator
Rows = NDArray[np.float64]
Table = Callable[[Random, int], Rows]

WEIGHTS = np.random.default_rng(1).normal(size=(2, 5))


def sensors(random: Random, n: int, d: int = 5, noise: float = 0.05) -> Rows:
    """Two hidden variables seen by d sensors."""
    return random.normal(size=(n, 2)) @ WEIGHTS[:, :d] + noise * random.normal(size=(n, d))


def half_idle(random: Random, n: int) -> Rows:
    rows = sensors(random, n, 4)
    rows[random.random(n) < 0.5] = 0.0
    return rows


def mostly_idle(random: Random, n: int) -> Rows:
    rows = sensors(random, n, 4)
    rows[random.random(n) < 0.95] = 0.0
    return rows


def counts(random: Random, n: int, mean: float) -> Rows:
    return random.poisson(mean, (n, 4)).astype(np.float64)


def flags(random: Random, n: int, share: float) -> Rows:
    return (random.random((n, 8)) < share).astype(np.float64)


def ratings(random: Random, n: int) -> Rows:
    return random.integers(1, 6, (n, 4)).astype(np.float64)


def distinct(random: Random, n: int, count: int) -> Rows:
    """Every row is one of `count` rows, all equally often."""
    known = sensors(np.random.default_rng(2), count)
    return known[random.integers(0, count, n)]


def zipf(random: Random, n: int, count: int) -> Rows:
    """Every row is one of `count` rows; the k-th is seen in proportion to 1 / k."""
    known, weights = sensors(np.random.default_rng(2), count), 1 / np.arange(1.0, count + 1)
    return known[random.choice(count, n, p=weights / weights.sum())]


def states(random: Random, n: int, shares: tuple[float, ...]) -> Rows:
    """A machine with several states, far from each other."""
    centers = 10 * np.random.default_rng(3).normal(size=(len(shares), 5))
    return centers[random.choice(len(shares), n, p=shares)] + sensors(random, n)


def rounded(random: Random, n: int, digits: int) -> Rows:
    return np.round(sensors(random, n), digits)


def clipped(random: Random, n: int) -> Rows:
    """Sensors that saturate: a third of the values at one of two limits."""
    return np.clip(sensors(random, n), -1, 1)


def mixed(random: Random, n: int) -> Rows:
    """Three continuous columns, a count that depends on them, and a flag."""
    rows = sensors(random, n, 3)
    count = random.poisson(np.exp(np.clip(rows[:, 0], -3, 2)))
    return np.c_[rows, count, random.random(n) < 0.1]


def mostly_flags(random: Random, n: int) -> Rows:
    return np.c_[flags(random, n, 0.3)[:, :5], random.normal(size=n)]


def with_gaps(random: Random, n: int, share: float, columns: int) -> Rows:
    rows = sensors(random, n)
    rows[:, -columns:][random.random((n, columns)) < share] = np.nan
    return rows


def gaps_together(random: Random, n: int) -> Rows:
    """Two columns are missing in the same half of the rows."""
    rows = sensors(random, n)
    rows[random.random(n) < 0.5, -2:] = np.nan
    return rows


def heavy_tails(random: Random, n: int, freedom: float) -> Rows:
    """Student's t of two hidden variables and of the noise."""
    noise = 0.05 * random.standard_t(freedom, (n, 5))
    return random.standard_t(freedom, (n, 2)) @ WEIGHTS + noise


def log_normal(random: Random, n: int) -> Rows:
    return np.exp(sensors(random, n))


def exponential(random: Random, n: int) -> Rows:
    return random.exponential(size=(n, 5))


def uniform(random: Random, n: int) -> Rows:
    return random.random((n, 5))


def independent(random: Random, n: int) -> Rows:
    return random.normal(size=(n, 12))


def circle(random: Random, n: int) -> Rows:
    angle = 2 * np.pi * random.random(n)
    rows = np.c_[np.cos(angle), np.sin(angle), np.cos(2 * angle)]
    return rows + 0.02 * random.normal(size=(n, 3))


def constants(random: Random, n: int) -> Rows:
    """Two columns that never change beside three that do."""
    return np.c_[sensors(random, n, 3), np.full(n, 7.0), np.zeros(n)]


def mostly_zeros(random: Random, n: int) -> Rows:
    rows = random.exponential(size=(n, 6))
    rows[random.random((n, 6)) < 0.9] = 0.0
    return rows


def hours(random: Random, n: int) -> Rows:
    """A load that depends on the hour of the day and on weekends."""
    hour, weekend = random.integers(0, 24, n), random.random(n) < 2 / 7
    load = 10 + 5 * np.sin(hour / 24 * 2 * np.pi) * (1 - 0.6 * weekend)
    return np.c_[hour, weekend, load + 0.3 * random.normal(size=n)]


def unequal_noise(random: Random, n: int) -> Rows:
    return sensors(random, n) + random.exponential(0.2, (n, 1)) * random.normal(size=(n, 5))


TABLES: dict[str, Table] = {
    "half idle": half_idle,
    "95 % idle": mostly_idle,
    "four counts, mean 2": partial(counts, mean=2.0),
    "four counts, mean 0.2": partial(counts, mean=0.2),
    "eight flags, 20 %": partial(flags, share=0.2),
    "eight flags, 2 %": partial(flags, share=0.02),
    "four ratings": ratings,
    "10 distinct rows": partial(distinct, count=10),
    "100 distinct rows": partial(distinct, count=100),
    "1,000 distinct rows": partial(distinct, count=1_000),
    "10,000 distinct rows": partial(distinct, count=10_000),
    "100 distinct rows, 1/k": partial(zipf, count=100),
    "10,000 distinct rows, 1/k": partial(zipf, count=10_000),
    "two states": partial(states, shares=(0.5, 0.5)),
    "states of 90, 9.5, 0.5 %": partial(states, shares=(0.9, 0.095, 0.005)),
    "rounded to integers": partial(rounded, digits=0),
    "rounded to tenths": partial(rounded, digits=1),
    "clipped": clipped,
    "mixed": mixed,
    "flags and one number": mostly_flags,
    "70 % gaps in a column": partial(with_gaps, share=0.7, columns=1),
    "10 % gaps in all columns": partial(with_gaps, share=0.1, columns=5),
    "gaps in half of the rows": gaps_together,
    "t, 3 degrees of freedom": partial(heavy_tails, freedom=3.0),
    "t, 1 degree of freedom": partial(heavy_tails, freedom=1.0),
    "log-normal": log_normal,
    "exponential": exponential,
    "uniform": uniform,
    "independent": independent,
    "circle": circle,
    "constant columns": constants,
    "90 % zeros": mostly_zeros,
    "hours and weekends": hours,
    "unequal noise": unequal_noise,
}


def same_days(random: Random, n: int) -> Rows:
    return sensors(random, n)


def noisy_days(random: Random, n: int) -> Rows:
    """The noise has another level every day."""
    return sensors(random, n, noise=0.2 * np.exp(0.4 * random.normal()))


def shifted_days(random: Random, n: int) -> Rows:
    """All sensors are off by another amount every day."""
    return sensors(random, n) + 0.1 * random.normal(size=5)


def idle_days(random: Random, n: int) -> Rows:
    """The machine is off for another share of every day."""
    rows = sensors(random, n)
    rows[random.random(n) < random.beta(4, 4)] = 0.0
    return rows


def wild_days(random: Random, n: int) -> Rows:
    """The level of the noise has heavy tails: t, 3 degrees of freedom, on a log scale."""
    return sensors(random, n, noise=0.2 * np.exp(0.3 * random.standard_t(3)))


def count_days(random: Random, n: int) -> Rows:
    """Counts with another mean every day."""
    return random.poisson(2 * np.exp(0.3 * random.normal()), (n, 4)).astype(np.float64)


DAYS: dict[str, Table] = {
    "days alike": same_days,
    "noise varies": noisy_days,
    "offsets vary": shifted_days,
    "idle share varies": idle_days,
    "noise varies, heavy tails": wild_days,
    "means of counts vary": count_days,
}
