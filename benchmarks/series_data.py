"""Series to detect anomalies in: NAB, SKAB, and generated ones with planted anomalies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from datasets import DATA
from numpy.typing import NDArray
from scipy.signal import lfilter

NAB_TRAIN, SKAB_TRAIN = 0.15, 400  # share, and rows, of a series that is its clean beginning
SENSORS, DAY = 10, 1_440  # of generated series; rows are minutes
FACTORS, REGIMES = 3, 3
CLEAN = ("seasonal", "autocorrelated", "regimes", "heavy tails", "seasonal")

Rows = NDArray[np.float64]


class Labeled(NamedTuple):
    """A series: rows (n, d), labels (n,), and how many rows are its clean beginning."""

    rows: Rows
    labels: NDArray[np.bool_]
    clean: int


class Planted(NamedTuple):
    """An anomaly of a kind at rows `start` to `stop` of one sensor."""

    kind: str
    start: int
    stop: int
    sensor: int


def nab() -> Iterator[Labeled]:
    """Series of one sensor that have anomalies after their clean beginning."""
    for path in sorted((DATA / "nab").glob("*.parquet")):
        table = pq.read_table(path)
        rows = table["value"].to_numpy().astype(np.float64)[:, None]
        labels = table["anomaly"].to_numpy().astype(bool)
        clean = int(NAB_TRAIN * len(rows))
        if labels[clean:].any():
            yield Labeled(rows, labels, clean)


def skab() -> Iterator[Labeled]:
    """The 16 runs with a valve that closes; 8 sensors."""
    for number in range(16):
        found = _skab(f"valve1/{number}.csv", 9)
        yield Labeled(found[:, :8], found[:, 8] == 1, SKAB_TRAIN)


def skab_clean() -> Rows:
    """The one run of SKAB without anomalies."""
    return _skab("anomaly-free/anomaly-free.csv", 8)


def _skab(name: str, columns: int) -> Rows:
    path = DATA / "skab" / name
    return np.loadtxt(path, delimiter=";", skiprows=1, usecols=range(1, 1 + columns))


def clean_rows(random: np.random.Generator, n: int, kind: str) -> Rows:
    """Sensors (n, SENSORS) that follow FACTORS common factors, in units and offsets of their own.

    seasonal: a day and a shorter period. autocorrelated: no period. regimes: seasonal, and each day
    has one of three levels and loads. heavy tails: noise by Student's t with 3 degrees of freedom.
    """
    mix = random.normal(size=(FACTORS, SENSORS))
    factors = np.stack([_factor(random, n) for _ in range(FACTORS)], axis=1)
    if kind != "autocorrelated":
        for factor, period in enumerate((DAY, int(random.integers(30, 200)))):
            phase = random.uniform(0, 2 * np.pi)
            wave = np.sin(2 * np.pi * np.arange(n) / period + phase)
            factors[:, factor] += random.uniform(1, 3) * wave
    rows = factors @ mix + random.uniform(0.1, 0.5, SENSORS) * random.normal(size=(n, SENSORS))
    if kind == "regimes":
        today = np.repeat(random.integers(0, REGIMES, -(-n // DAY)), DAY)[:n]
        levels = 1.5 * random.normal(size=(REGIMES, SENSORS))
        rows = rows * random.uniform(0.6, 1.5, (REGIMES, 1))[today] + levels[today]
    if kind == "heavy tails":
        rows += 0.3 * random.standard_t(3, size=rows.shape)
    return rows * random.uniform(0.1, 50, SENSORS) + 100 * random.normal(size=SENSORS)


def _factor(random: np.random.Generator, n: int) -> Rows:
    kept = random.uniform(0.8, 0.995)
    noise = random.normal(size=n)
    return np.asarray(lfilter([np.sqrt(1 - kept**2)], [1, -kept], noise))


@dataclass(frozen=True)
class Place:
    """Where an anomaly goes: values (n,) of a sensor before, and its spread."""

    values: Rows
    whole: Rows
    spread: float
    random: np.random.Generator

    @property
    def sign(self) -> float:
        """Up or down."""
        return float(self.random.choice([-1, 1]))


def _spike(at: Place) -> Rows:
    found = at.values.copy()
    found[: max(1, len(found) // 30)] += 8 * at.sign * at.spread
    return found


def _dropout(at: Place) -> Rows:
    far = abs(at.whole.mean()) > 3 * at.spread
    return np.full_like(at.values, 0 if far else at.whole.min() - 3 * at.spread)


def _flat(at: Place) -> Rows:
    return np.full_like(at.values, at.values[0])


def _frequency(at: Place) -> Rows:
    wave = 1.5 * at.spread * np.sin(2 * np.pi * np.arange(len(at.values)) / 8)
    mean = at.values.mean()
    return np.asarray(mean + 0.3 * (at.values - mean) + wave)


def _level(at: Place) -> Rows:
    return at.values + 3 * at.sign * at.spread


def _trend(at: Place) -> Rows:
    return np.asarray(at.values + at.sign * np.linspace(0, 5, len(at.values)) * at.spread)


def _correlation(at: Place) -> Rows:
    if at.values.std() > 0.3 * at.spread:
        return np.asarray(2 * at.values.mean() - at.values)
    start = at.random.integers(0, len(at.whole) - len(at.values))
    return at.whole[start : start + len(at.values)]


KINDS: dict[str, Callable[[Place], Rows]] = {
    "spike": _spike,
    "dropout": _dropout,
    "flat line": _flat,
    "frequency": _frequency,
    "level shift": _level,
    "trend": _trend,
    "correlation": _correlation,
}


def plant(random: np.random.Generator, rows: Rows) -> tuple[Rows, list[Planted]]:
    """Plant an anomaly of one to three hours in one sensor on every day; kinds take turns."""
    found, planted, kinds = rows.copy(), [], list(KINDS)
    for day in range(len(rows) // DAY):
        kind, sensor = kinds[day % len(kinds)], int(random.integers(SENSORS))
        start = day * DAY + int(random.integers(300, 1_000))
        stop = start + int(random.integers(60, 180))
        whole = rows[:, sensor]
        place = Place(whole[start:stop], whole, float(whole.std()), random)
        found[start:stop, sensor] = KINDS[kind](place)
        planted.append(Planted(kind, start, stop, sensor))
    return found, planted
