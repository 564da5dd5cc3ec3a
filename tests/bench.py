"""A small job in a folder of its own, and a way to run commands as a person would."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
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


def rows_of(n: int, seed: int, d: int = 8) -> np.ndarray:
    """Rows (n, d) float64 near a plane that is the same for every seed."""
    random = np.random.default_rng(seed)
    return random.normal(size=(n, 2)) @ np.random.default_rng(99).normal(
        size=(2, d)
    ) + 0.05 * random.normal(size=(n, d))


@dataclass
class Result:
    """What a command did."""

    code: int
    out: str
    err: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Bench:
    """A folder with a job in it."""

    folder: Path

    @property
    def job(self) -> Path:
        return self.folder / "small.toml"

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    def run(self, *words: object) -> Result:
        """A nightglass command with --json."""
        found = CliRunner().invoke(app, [*map(str, words), "--json"])
        facts = json.loads(found.stdout) if found.stdout.strip() else {}
        return Result(found.exit_code, found.stdout, found.stderr, facts)

    def night(self, day: str = DAY, *, n: int = 300, seed: int = 5, outliers: int = 0) -> Path:
        """Write a night's rows, the first `outliers` of them far out."""
        path = self.folder / "nights" / f"{day}.npy"
        path.parent.mkdir(exist_ok=True)
        rows = rows_of(n, seed)
        rows[:outliers] += 9 * np.random.default_rng(1).choice(
            [-1, 1], size=(outliers, rows.shape[1])
        )
        np.save(path, rows)
        return path

    def score(self, *words: object, day: str = DAY) -> Result:
        return self.run("score", self.job, "--date", day, *words)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file that a reader may see below a folder, but for run.json, which holds times."""
    files = (
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".work" not in path.parts and "logs" not in path.parts
    )
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in files
        if path.name not in {"run.json", "champion.json"}
    }


def run_command(words: list[str], said: Path = Path(os.devnull)) -> None:
    """A nightglass command as a process of its own runs it; what it prints goes to `said`."""
    with said.open("w") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        app(words)
