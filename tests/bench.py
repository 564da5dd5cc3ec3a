"""A small job in its own folder, and a way to run CLI commands on it."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from typer.testing import CliRunner

from flows.cli.app import app

JOB = """
name = "small"
[data]
clean = "clean.npy"
incoming = "nights/{date}.npy"
shard_bytes = "1 MB"
[model]
hidden = [16]
latent = 3
activation = "silu"
output = "identity"
loss = "mse"
scaling = "standard"
[train]
epochs = 15
batch_size = 64
learning_rate = 3e-3
calibration = 0.3
[score]
rule = "quantile 0.99"
top_n = 5
alert_budget = 200
"""
DAY = "2026-11-22"
Columns = dict[str, Any]


def rows_of(n: int, seed: int, d: int = 8) -> np.ndarray:
    """Random rows (n, d) float64 near a plane that is the same for every seed."""
    random, plane = np.random.default_rng(seed), np.random.default_rng(99).normal(size=(2, d))
    on_plane = random.normal(size=(n, 2)) @ plane
    return on_plane + 0.05 * random.normal(size=(n, d))


@dataclass
class Result:
    """Exit code, output and JSON result of a command."""

    code: int
    out: str
    err: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Bench:
    """A folder that contains a job."""

    folder: Path

    @property
    def job(self) -> Path:
        return self.folder / "small.toml"

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    def run(self, *words: object) -> Result:
        """Run a nightglass command with --json."""
        found = CliRunner().invoke(app, [*map(str, words), "--json"])
        facts = json.loads(found.stdout) if found.stdout.strip() else {}
        return Result(found.exit_code, found.stdout, found.stderr, facts)

    def night(self, day: str = DAY, *, n: int = 300, seed: int = 5, outliers: int = 0) -> Path:
        """Write the rows of a night; the first `outliers` of them are outliers."""
        path = self.folder / "nights" / f"{day}.npy"
        path.parent.mkdir(exist_ok=True)
        rows = rows_of(n, seed)
        signs = np.random.default_rng(1).choice([-1, 1], size=(outliers, rows.shape[1]))
        rows[:outliers] += 9 * signs
        np.save(path, rows)
        return path

    def score(self, *words: object, day: str = DAY) -> Result:
        return self.run("score", self.job, "--date", day, *words)


def write_rows(path: Path, n: int, seed: int, *, row_group_size: int | None = None) -> Path:
    """Write rows near the plane of `rows_of` as a Parquet table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {f"c{index}": column for index, column in enumerate(rows_of(n, seed).T)}
    pq.write_table(pa.table(columns), path, row_group_size=row_group_size)
    return path


def encode(bench: Bench, source: Path, *settings: str) -> tuple[Path, dict[str, Any]]:
    """Encode a source; return the store and its size report."""
    words = [word for each in settings for word in ("--set", f"encode.{each}")]
    store = bench.folder / "store"
    result = bench.run("encode", bench.job, "--source", source, "--out", store, *words)
    assert result.code == 0, result.err
    return store, result.facts["report"]


def decode(bench: Bench, store: Path, *words: object) -> pa.Table:
    """Decode a store into a table."""
    back = bench.folder / "back.parquet"
    result = bench.run("decode", store, "--out", back, *words)
    assert result.code == 0, result.err
    return pq.read_table(back)


def tree(folder: Path) -> dict[str, bytes]:
    """Contents of all files below a folder, except work, logs, and files that contain times."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not _varies(path)]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _varies(path: Path) -> bool:
    names = {"run.json", "champion.json"}
    return path.name in names or bool({".work", "logs"} & set(path.parts))


def run_command(words: list[str], output: Path = Path(os.devnull)) -> None:
    """Run a nightglass command in a child process; stdout and stderr go to `output`."""
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        app(words)


Trained = tuple[Bench, Result, Result]  # with the results of train and score


def trained_table(folder: Path, job: str, clean: Columns, night: Columns) -> Trained:
    """A job on tables in `folder`: trained on the clean columns, with one scored night."""
    (folder / "small.toml").write_text(job)
    (folder / "nights").mkdir()
    pq.write_table(pa.table(clean), folder / "clean.parquet")
    pq.write_table(pa.table(night), folder / f"nights/{DAY}.parquet")
    bench = Bench(folder)
    trained = bench.run("train", bench.job)
    assert trained.code == 0, trained.err
    scored = bench.run("score", bench.job, "--date", DAY)
    assert scored.code == 0, scored.err
    return bench, trained, scored


def causes_by(column: str, report: Path) -> dict[str, str]:
    """The causes of the listed rows in the folder of a report, by a column such as the id."""
    with (report / "outliers.csv").open(encoding="utf-8", newline="") as file:
        return {row[column]: row["cause"] for row in csv.DictReader(file)}
