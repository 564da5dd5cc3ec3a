"""A small job whose rows are series: two pumps, three sensors, a row every five minutes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from bench import DAY, Bench

SERIES_JOB = """
name = "small"
[data]
clean = "clean.parquet"
incoming = "nights/{date}.parquet"
[series]
time = "at"
entity = "pump"
window = 32
gap = "1 h"
[model]
hidden = [8]
latent = 2
output = "identity"
loss = "mse"
scaling = "standard"
[train]
epochs = 2
batch_size = 256
[score]
rule = "events 1/4d"
"""
DAY_ROWS, CLEAN_DAYS = 288, 4
SENSORS = ("heat", "speed", "load")
PUMPS = ("p0", "p1")
NIGHT = date.fromisoformat(DAY)
FIRST = NIGHT - timedelta(days=CLEAN_DAYS)  # the first clean day


def readings(pump: int, first: int, stop: int) -> np.ndarray:
    """Readings (n, 3) of a pump, of the rows from `first` up to `stop` since FIRST."""
    noise = np.random.default_rng(pump).normal(size=(DAY_ROWS * (CLEAN_DAYS + 4), 3))
    wave = 2 * np.pi * np.arange(len(noise)) / 36
    clean = np.stack([np.sin(wave), np.cos(wave), np.sin(wave / 2)], axis=1) + 10 * pump
    return np.asarray((clean + 0.1 * noise)[first:stop])


def table_of(values: Sequence[np.ndarray], first: int, *, names: Sequence[str] = PUMPS) -> pa.Table:
    """A table in which the rows of all pumps take turns; row `first` since FIRST comes first."""
    counts = [len(each) for each in values]
    order = np.argsort(np.concatenate([np.arange(n) for n in counts]), kind="stable")
    start = np.datetime64(FIRST, "us")
    times = [start + np.timedelta64(300, "s") * (first + np.arange(n)) for n in counts]
    columns = {
        "at": pa.array(np.concatenate(times)[order]),
        "pump": pa.array(np.repeat(names, counts)[order]),
    }
    rows = np.concatenate(values)[order]
    return pa.table({**columns, **dict(zip(SENSORS, rows.T, strict=True))})


def pumps(first: int, stop: int) -> list[np.ndarray]:
    """Readings of both pumps."""
    return [readings(pump, first, stop) for pump in range(len(PUMPS))]


def night_rows(day: str = DAY) -> tuple[int, int]:
    """The first row of a day, and the one after its last."""
    first = (date.fromisoformat(day) - FIRST).days * DAY_ROWS
    return first, first + DAY_ROWS


def clean_table() -> pa.Table:
    """The clean rows, up to the day before DAY."""
    return table_of(pumps(0, DAY_ROWS * CLEAN_DAYS), 0)


def night_table(day: str = DAY, *, planted: slice | None = None, sensor: int = 1) -> pa.Table:
    """The rows of a day; the speed of p1 is 4 too high in the planted rows."""
    first, stop = night_rows(day)
    values = pumps(first, stop)
    if planted:
        values[1][planted, sensor] += 4
    return table_of(values, first)


def write_night(bench: Bench, table: pa.Table, day: str = DAY) -> Path:
    """Write the rows of a night, in place of any that were there."""
    path = bench.folder / "nights" / f"{day}.parquet"
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table, path)
    return path


def trained_series(folder: Path, job: str = SERIES_JOB, clean: pa.Table | None = None) -> Bench:
    """A folder with a job that was trained on the clean rows."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "small.toml").write_text(job)
    pq.write_table(clean_table() if clean is None else clean, folder / "clean.parquet")
    bench = Bench(folder)
    trained = bench.run("train", bench.job)
    assert trained.code == 0, trained.err
    return bench


def scores_of(bench: Bench, day: str = DAY) -> pa.Table:
    """The scores of a night, all shards as one table."""
    parts = sorted((bench.workspace / f"scores/small/date={day}").glob("part-*.parquet"))
    return pa.concat_tables([pq.read_table(part) for part in parts]).unify_dictionaries()


def events_of(bench: Bench, day: str = DAY, rev: int = 1) -> list[dict[str, Any]]:
    """The events of a night, highest first."""
    folder = bench.workspace / f"reports/small/{day}/rev={rev}"
    found: list[dict[str, Any]] = pq.read_table(folder / "outliers.parquet").to_pylist()
    return found


def summary_of(bench: Bench, day: str = DAY, rev: int = 1) -> dict[str, Any]:
    """The summary of a night."""
    folder = bench.workspace / f"reports/small/{day}/rev={rev}"
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found
