"""Stores made through the commands as a person would, and the rows of tables about them, kept so that a long run can be broken off."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.encoding.plan import plan_store
from flows.jobs.job_file import read_job
from flows.jobs.workspace import open_workspace
from flows.training.load_model import load_model
from storage.codecs.blocks import encode_block
from storage.codecs.bounded import block_rows
from storage.codecs.selection import rmse
from storage.sources import open_source, plan_shards

NARROW = """[model]
hidden = [16]
latent = 4
activation = "silu"
output = "identity"
loss = "mse"
scaling = "standard"
[train]
epochs = 5
"""
Measure = Callable[[], dict[str, str]]


class Rows:
    """The rows of all tables.

    Those in the file `kept` are not measured again, and new ones are added to it.
    """

    def __init__(self, kept: Path | None) -> None:
        self.kept = kept
        self.found: dict[str, dict[str, str]] = (
            json.loads(kept.read_text(encoding="utf-8")) if kept and kept.exists() else {}
        )
        self.heads: tuple[str, ...] = ()

    def begin(self, title: str) -> None:
        """Print the title of a table; its head follows with the first row."""
        print(f"\n## {title}\n", flush=True)
        self.heads = ()

    def add(self, table: str, key: str, measure: Measure) -> None:
        """Print a row of `table`, measured unless it was kept."""
        name = f"{table}: {key}"
        if name not in self.found:
            self.found[name] = measure()
            if self.kept:
                self.kept.write_text(
                    json.dumps(self.found, indent=1, ensure_ascii=False), encoding="utf-8"
                )
        self._print(self.found[name])

    def _print(self, row: Mapping[str, str]) -> None:
        if self.heads != tuple(row):
            self.heads = tuple(row)
            print(
                "|".join(["", *(f" {head} " for head in row), ""]),
                "|".join(["", *("--:" for _ in row), ""]),
                sep="\n",
            )
        print("|".join(["", *(f" {cell} " for cell in row.values()), ""]), flush=True)


def command(*words: object) -> dict[str, Any]:
    """Run a nightglass command and return what it says."""
    line = [str(Path(sys.executable).with_name("nightglass")), *map(str, words), "--json"]
    if words[0] in ("train", "encode"):
        line.append("--no-prefect")
    done = subprocess.run(line, check=False, capture_output=True, text=True)  # noqa: S603 (its own command)
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class Job:
    """A job in a folder of its own, which ends with it; trained when it is first needed."""

    def __init__(self, clean: Path | NDArray[Any], model: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.folder = Path(self._folder.name)
        self.clean = clean if isinstance(clean, Path) else self.folder / "clean.npy"
        if not isinstance(clean, Path):
            np.save(self.clean, np.ascontiguousarray(clean))
        self.path = self.folder / "job.toml"
        self.path.write_text(
            f'name = "bench"\n[data]\nclean = "{self.clean}"\n{model}', encoding="utf-8"
        )
        self._trained = False

    def train(self) -> None:
        """Fit the model, and put it in force whatever the gate says: a bound is held by any."""
        if not self._trained:
            trained = command("train", self.path)
            if not trained["promoted"]:
                command("models", "promote", self.path, trained["model_id"])
            self._trained = True

    def encode(self, *settings: str, source: Path | None = None) -> tuple[Path, dict[str, Any]]:
        """A store of `source` (the clean rows) under these settings, and its size report."""
        self.train()
        words = [word for setting in settings for word in ("--set", f"encode.{setting}")]
        found = command("encode", self.path, *(["--source", source] if source else []), *words)
        return Path(found["path"]), found["report"]

    def best_simple(self, *settings: str, source: Path | None = None) -> tuple[str, int]:
        """The best codec of the contest that needs no decoder, and its bytes over all rows, in the blocks of the store."""
        job = read_job(self.path, [f"encode.{each}" for each in settings])
        _, model = load_model(open_workspace(job), device="cpu")
        with open_source(source or self.clean) as opened:
            shards = plan_shards(opened, job.data.shard_bytes)
            bounded = plan_store(job, model, opened, shards).plan.bounded
            assert bounded is not None
            totals = {entry.name: 0 for entry in bounded.entries if not entry.decodes_latents}
            for shard in shards:
                height = block_rows(model.layout.n_features)
                for chunk in opened.chunks(shard.start, shard.stop, max_rows=height):
                    rows = chunk.rows.reshape(len(chunk.rows), -1)
                    for entry in bounded.entries:
                        if entry.codec and entry.name in totals:
                            block, back = encode_block(entry.codec, rows, None, bounded.bound)
                            held = rmse(rows, back) <= bounded.bound.rmse
                            totals[entry.name] += len(block) if held else rows.nbytes
        name = min(totals, key=lambda each: totals[each])
        return name, totals[name]


def beside_simple(
    job: Job, settings: tuple[str, ...], report: Mapping[str, Any], source: Path | None = None
) -> str:
    """How many bytes of values, latents and decoder a store has over the best simple codec's, and as a share of the store."""
    name, simple = job.best_simple(*settings, source=source)
    size = report["bytes"]
    over = size["values"] + size["latents"] + size["decoder"] - simple
    return f"{over:+,} B ({100 * over / size['store']:+.1f} %) over {name}"


def decoded(store: Path) -> NDArray[Any]:
    """What `decode` brings back, counted from outside."""
    with tempfile.TemporaryDirectory() as folder:
        command("decode", store, "--out", Path(folder) / "back.npy")
        return np.asarray(np.load(Path(folder) / "back.npy"))


def count_broken(store: Path, rows: NDArray[Any], tolerance: NDArray[Any]) -> str:
    """Values that decode further off than promised."""
    apart = np.abs(decoded(store).astype(np.float64) - rows.astype(np.float64))
    return f"{int((apart > tolerance).sum())} of {rows.size:,}"
