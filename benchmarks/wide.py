"""Tables with many more columns than rows: seconds per step, size of the model, and AUROC.

    python benchmarks/wide.py                       20,000 columns, 400 clean rows; two minutes
    python benchmarks/wide.py --columns 2000
    python benchmarks/wide.py --seed 1

`init`, `train`, and `score` run as commands, on Parquet and on CSV, with the job file that `init`
writes. The clean rows mix a few factors over all columns, blocks of correlated columns, and noise;
columns differ in unit and offset. The night holds other clean rows and several kinds of anomalies.
Nearest neighbors get standardized columns and all clean rows.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from commands import command
from datasets import machine
from markdown_table import print_head, print_row
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from tables import standardized

CLEAN, FRESH, PLANTED = 400, 200, 60  # rows: clean, clean at night, of each kind of anomaly
FACTORS, BLOCKS, WIDTH = 10, 20, 100  # blocks of correlated columns, WIDTH columns each
SHIFTED = 50  # columns that an anomaly shifts by three standard deviations of the noise
NEIGHBORS = 5
DAY = "2026-11-22"
Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Process:
    """What makes clean rows.

    factors: (FACTORS, d) loadings. blocks: (blocks, width) columns. loadings: of the same shape.
    """

    factors: Rows
    blocks: NDArray[np.intp]
    loadings: Rows
    unit: Rows
    offset: Rows

    @classmethod
    def random(cls, d: int, random: np.random.Generator) -> Process:
        """A process with `d` columns."""
        width = min(WIDTH, d // (2 * BLOCKS))
        return cls(
            factors=0.3 * random.normal(size=(FACTORS, d)),
            blocks=random.permutation(d)[: BLOCKS * width].reshape(BLOCKS, width),
            loadings=random.uniform(0.6, 1.2, size=(BLOCKS, width)),
            unit=np.exp(2 * random.normal(size=d)),
            offset=3 * random.normal(size=d),
        )

    def rows(self, n: int, random: np.random.Generator, spread: float = 1.0) -> Rows:
        """Rows (n, d) before units; `spread` stretches the factors."""
        rows = spread * random.normal(size=(n, FACTORS)) @ self.factors
        rows += random.normal(size=rows.shape)
        for block, loading in zip(self.blocks, self.loadings, strict=True):
            rows[:, block] += random.normal(size=(n, 1)) * loading
        return rows

    def in_units(self, rows: Rows) -> Rows:
        """Rows (n, d) with the unit and the offset of each column."""
        return (rows + self.offset) * self.unit


def iter_anomalies(process: Process, random: np.random.Generator) -> Iterator[tuple[str, Rows]]:
    """Yield kinds of anomalies: a name and rows (PLANTED, d) before units."""
    shifted = process.rows(PLANTED, random)
    for row in shifted:
        row[random.permutation(len(row))[:SHIFTED]] += 3 * random.choice([-1, 1], SHIFTED)
    yield f"{SHIFTED} columns shifted", shifted
    broken = process.rows(PLANTED, random)
    for row in broken:
        for place in random.permutation(BLOCKS)[:4]:
            half = process.blocks[place][::2]
            row[half] += 2 * random.choice([-1, 1]) * process.loadings[place][::2]
    yield "four blocks broken", broken
    first, second = process.rows(PLANTED, random), process.rows(PLANTED, random)
    yield "two rows mixed", np.where(random.random(first.shape[1]) < 0.5, first, second)
    yield "more noise", process.rows(PLANTED, random) + 0.25 * random.normal(size=first.shape)
    direction = 0.25 * random.normal(size=first.shape[1])
    along = random.normal(size=(PLANTED, 1)) * direction
    yield "another factor", process.rows(PLANTED, random) + along
    yield "factors twice as large", process.rows(PLANTED, random, spread=2.0)


def write(path: Path, rows: Rows) -> None:
    names = [f"column {index}" for index in range(rows.shape[1])]
    table = pa.table([np.ascontiguousarray(column) for column in rows.T], names)
    if path.suffix == ".csv":
        pa_csv.write_csv(table, path)
    else:
        pq.write_table(table, path)


def run(suffix: str, step: str, *words: object) -> dict[str, object]:
    """Run a command and print its seconds."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    found = command(step, *words)
    after, seconds = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - began
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print_row(suffix, step, f"{seconds:.1f}", f"{cpu:.1f}")
    return found


def score_files(folder: Path, suffix: str, clean: Rows, night: Rows) -> Rows:
    """Run all steps on files of one format; return the scores (n,) of the night's rows."""
    write(folder / f"clean.{suffix}", clean)
    (folder / "nights").mkdir(exist_ok=True)
    write(folder / f"nights/{DAY}.{suffix}", night)
    text = str(run(suffix, "init", folder / f"clean.{suffix}")["job"])
    job = folder / "job.toml"
    job.write_text(text.replace('"nights/', f'"{folder}/nights/'), encoding="utf-8")
    trained = run(suffix, "train", job)
    run(suffix, "score", job, "--date", DAY)
    size = (Path(str(trained["path"])) / "model.safetensors").stat().st_size
    print_row(suffix, f"model: {size / 1e6:.1f} MB", "", "")
    by = "error" if '= "error"' in text else "novelty"
    parts = sorted((folder / f"workspace/scores/clean/date={DAY}").glob("part-*.parquet"))
    return np.concatenate([np.asarray(pq.read_table(part)[by]) for part in parts])


def neighbor_distances(clean: Rows, night: Rows) -> Rows:
    train, test = standardized(clean, night)
    distances, _ = NearestNeighbors(n_neighbors=NEIGHBORS).fit(train).kneighbors(test)
    return np.asarray(distances[:, -1])


def auroc_by_kind(scores: Rows, kinds: list[str]) -> dict[str, float]:
    """AUROC of each kind against the fresh clean rows, which come first; then their mean."""
    found = {}
    for place, kind in enumerate(kinds):
        first = FRESH + place * PLANTED
        both = np.concatenate([scores[:FRESH], scores[first : first + PLANTED]])
        found[kind] = float(roc_auc_score(np.arange(len(both)) >= FRESH, both))
    return {**found, "mean": float(np.mean(list(found.values())))}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--columns", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    random = np.random.default_rng(chosen.seed)
    process = Process.random(chosen.columns, random)
    clean, fresh = process.rows(CLEAN, random), process.rows(FRESH, random)
    planted = dict(iter_anomalies(process, random))
    clean = process.in_units(clean)
    night = process.in_units(np.concatenate([fresh, *planted.values()]))

    print(f"Machine: {machine()}; {CLEAN} clean rows, {chosen.columns:,} columns\n")
    print_head("format", "step", "seconds", "CPU seconds", left=2)
    found: dict[str, dict[str, float]] = {}
    for suffix in ("parquet", "csv"):
        with tempfile.TemporaryDirectory() as folder:
            scores = score_files(Path(folder), suffix, clean, night)
        found[f"nightglass, {suffix}"] = auroc_by_kind(scores, list(planted))
    found["kNN"] = auroc_by_kind(neighbor_distances(clean, night), list(planted))
    print()
    print_head("AUROC", *found)
    for kind in (*planted, "mean"):
        print_row(kind, *(f"{values[kind]:.3f}" for values in found.values()))


if __name__ == "__main__":
    main()
