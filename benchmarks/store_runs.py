"""Stores written through the commands, and tables about them that survive an interrupted run."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from commands import command
from markdown_table import print_head, print_row
from numpy.typing import NDArray

from flows.encoding.plan import plan_store
from flows.jobs.job_file import read_job
from flows.jobs.workspace import open_workspace
from flows.training.load_model import load_model
from storage.codecs.blocks import Bound, encode_block
from storage.codecs.bounded import block_rows
from storage.codecs.candidates import rmse
from storage.codecs.selection import Entry
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


class ResultTables:
    """Tables of results, printed row by row.

    Rows in the JSON file `keep` are not measured again, and new ones are added to it.
    """

    def __init__(self, keep: Path | None) -> None:
        self.keep = keep
        self.rows: dict[str, dict[str, str]] = {}
        if keep and keep.exists():
            self.rows = json.loads(keep.read_text(encoding="utf-8"))
        self.heads: tuple[str, ...] = ()

    def begin(self, title: str) -> None:
        """Print the title of a table; its header follows with the first row."""
        print(f"\n## {title}\n", flush=True)
        self.heads = ()

    def add(self, table: str, key: str, measure: Measure) -> None:
        """Print a row of `table`, and measure it unless it was kept."""
        name = f"{table}: {key}"
        if name not in self.rows:
            self.rows[name] = measure()
            self._save()
        self._print(self.rows[name])

    def _save(self) -> None:
        if self.keep:
            text = json.dumps(self.rows, indent=1, ensure_ascii=False)
            self.keep.write_text(text, encoding="utf-8")

    def _print(self, row: Mapping[str, str]) -> None:
        if self.heads != tuple(row):
            self.heads = tuple(row)
            print_head(*row, left=0)
        print_row(*row.values())


class BenchJob:
    """A job in a temporary folder, trained on first use."""

    def __init__(self, clean: Path | NDArray[Any], model: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        self.clean = clean if isinstance(clean, Path) else folder / "clean.npy"
        if not isinstance(clean, Path):
            np.save(self.clean, np.ascontiguousarray(clean))
        self.path = folder / "job.toml"
        text = f'name = "bench"\n[data]\nclean = "{self.clean}"\n{model}'
        self.path.write_text(text, encoding="utf-8")
        self._trained = False

    def train(self) -> None:
        """Train the model and promote it whatever the gate decides: any model holds a bound."""
        if not self._trained:
            trained = command("train", self.path)
            if not trained["promoted"]:
                command("models", "promote", self.path, trained["model_id"])
            self._trained = True

    def encode(self, *settings: str, source: Path | None = None) -> tuple[Path, dict[str, Any]]:
        """Encode `source` (default: the clean rows); returns the store and its size report."""
        self.train()
        words = [word for setting in settings for word in ("--set", f"encode.{setting}")]
        found = command("encode", self.path, *(["--source", source] if source else []), *words)
        return Path(found["path"]), found["report"]

    def best_simple(self, *settings: str, source: Path | None = None) -> tuple[str, int]:
        """The best candidate codec that needs no decoder, and its bytes over all rows.

        In the blocks of the store.
        """
        job = read_job(self.path, [f"encode.{each}" for each in settings])
        _, model = load_model(open_workspace(job), device="cpu")
        with open_source(source or self.clean) as opened:
            shards = plan_shards(opened, job.data.shard_bytes)
            bounded = plan_store(job, model, opened, shards).plan.bounded
            assert bounded is not None
            simple = [entry for entry in bounded.entries if not entry.decodes_latents]
            totals = {entry.name: 0 for entry in simple}
            height = block_rows(model.layout.n_features)
            for shard in shards:
                for chunk in opened.chunks(shard.start, shard.stop, max_rows=height):
                    rows = chunk.rows.reshape(len(chunk.rows), -1)
                    for entry in simple:
                        totals[entry.name] += block_bytes(entry, rows, bounded.bound)
        name = min(totals, key=lambda each: totals[each])
        return name, totals[name]


def block_bytes(entry: Entry, rows: NDArray[Any], bound: Bound) -> int:
    """Bytes of one block of rows (n, d); those of the rows if the codec violates the bound."""
    assert entry.codec is not None, "without a codec, decoding reads latents"
    block, back = encode_block(entry.codec, rows, None, bound)
    return len(block) if rmse(rows, back) <= bound.rmse else rows.nbytes


def compare_with_simple(
    job: BenchJob, settings: tuple[str, ...], report: Mapping[str, Any], source: Path | None = None
) -> str:
    """Bytes of values, latents, and decoder beyond the best simple codec, and their share."""
    name, simple = job.best_simple(*settings, source=source)
    size = report["bytes"]
    over = size["values"] + size["latents"] + size["decoder"] - simple
    return f"{over:+,} B ({100 * over / size['store']:+.1f} %) over {name}"


def decoded(store: Path) -> NDArray[Any]:
    """The rows that the command `decode` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "decoded.npy"
        command("decode", store, "--out", path)
        return np.asarray(np.load(path))


def count_violations(store: Path, rows: NDArray[Any], tolerance: NDArray[Any]) -> str:
    """Number of values that decode with a larger error than `tolerance`."""
    error = np.abs(decoded(store).astype(np.float64) - rows.astype(np.float64))
    return f"{int((error > tolerance).sum())} of {rows.size:,}"
