"""AUROC of shifts that only show against a machine's own clean rows, with and without data.entity.

    python benchmarks/entities.py [--seeds 3]

50 machines have their own level and spread in each of 5 numbers; 20,000 rows are clean. At night,
a machine is 3 of its own standard deviations off, inside the range of all machines: in all
numbers, or in one. The AUROC is the mean over which machine that is. The model is the one that
`nightglass init` proposes.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import machine
from markdown_table import print_head, print_row
from numpy.typing import NDArray
from proposed import parse_job, propose_for_file
from sklearn.metrics import roc_auc_score

from aemodel.model import Autoencoder
from aemodel.rows.layout import Layout
from aemodel.training.loop import CleanRows, train_autoencoder
from flows.jobs.inputs import open_clean, open_rows
from flows.jobs.settings import Job
from storage.sources import Source

MACHINES, NUMBERS = 50, 5
CLEAN_ROWS, NIGHT_ROWS = 20_000, 5_000
SHIFT = 3.0  # of the machine's own standard deviations
APART = 3.0  # standard deviation of the levels; the spreads are about 1

Values = NDArray[np.float64]
SETTINGS = {
    "data.entity": ["data.entity=machine"],
    "machine is a category": [],
    "machine is ignored": ['data.ignore=["machine"]'],
}
SCORES = ("error", "novelty")


@dataclass(frozen=True)
class Machines:
    """Level and spread (MACHINES, NUMBERS) of each machine."""

    level: Values
    spread: Values

    @classmethod
    def draw(cls, random: np.random.Generator) -> Machines:
        """Draw machines of which each number's spread differs by a factor of 2 or so."""
        shape = (MACHINES, NUMBERS)
        return cls(random.normal(0, APART, shape), np.exp(random.normal(0, 0.7, shape)))

    def rows(self, random: np.random.Generator, count: int) -> tuple[NDArray[np.int64], Values]:
        """Draw which machine each row is from (count,), and its numbers (count, NUMBERS)."""
        which = random.integers(0, MACHINES, count)
        noise = random.normal(size=(count, NUMBERS))
        return which, self.level[which] + self.spread[which] * noise

    def shifted(self, which: NDArray[np.int64], values: Values, columns: int) -> Values:
        """Move the first `columns` numbers towards the middle of all machines."""
        away = -np.sign(self.level) * SHIFT * self.spread * (np.arange(NUMBERS) < columns)
        return values + away[which]


def write_rows(path: Path, which: NDArray[np.int64], values: Values) -> None:
    """Write rows as Parquet."""
    names = pa.array([f"M{each:02d}" for each in which])
    columns = {f"x{index}": values[:, index] for index in range(NUMBERS)}
    pq.write_table(pa.table({"machine": names, **columns}), path)


def read_all(source: Source) -> NDArray[np.generic]:
    """Return all rows (n, d) of a source."""
    return np.concatenate([chunk.rows for chunk in source.chunks(max_rows=CLEAN_ROWS)])


def train(job: Job, seed: int) -> Autoencoder:
    """Train on the clean rows of a job."""
    with open_clean(job) as source:
        rows, schema = read_all(source), source.schema
    layout = Layout(
        row_shape=schema.row_shape, dtype=schema.dtype, columns=schema.columns, kinds=schema.kinds
    )
    settings = replace(job.train, seed=seed)
    clean = CleanRows(lambda: [rows], layout, job.score.memory)
    return train_autoencoder(clean, model=job.model, train=settings).model


def aurocs(job: Job, model: Autoencoder, folder: Path) -> dict[str, float]:
    """Return the AUROC of each of SCORES on a night with shifted rows."""
    scored = []
    for name in ("night", "shifted"):
        with open_rows(job, folder / f"{name}.parquet", model.layout) as source:
            scored.append(model.scores(read_all(source)))
    labels = np.repeat([0, 1], [len(each[0]) for each in scored])
    pairs = {name: [each[place] for each in scored] for place, name in enumerate(SCORES)}
    return {name: roc_auc_score(labels, np.concatenate(pair)) for name, pair in pairs.items()}


def run_seed(seed: int, columns: int, overrides: list[str]) -> dict[str, float]:
    """Train on one draw of machines, and score one night."""
    random = np.random.default_rng(seed)
    machines = Machines.draw(random)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        write_rows(path / "clean.parquet", *machines.rows(random, CLEAN_ROWS))
        write_rows(path / "night.parquet", *machines.rows(random, NIGHT_ROWS))
        which, values = machines.rows(random, NIGHT_ROWS)
        write_rows(path / "shifted.parquet", which, machines.shifted(which, values, columns))
        job = parse_job(propose_for_file(path / "clean.parquet"), overrides)
        return aurocs(job, train(job, seed), path)


def main() -> None:
    """Print a table of all settings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    print(f"Machine: {machine()}\n")
    print_head("shifted numbers", "setting", *(f"AUROC by {name}" for name in SCORES), left=2)
    for columns in (NUMBERS, 1):
        for setting, overrides in SETTINGS.items():
            found = [run_seed(seed, columns, overrides) for seed in range(seeds)]
            means = [np.mean([each[name] for each in found]) for name in SCORES]
            print_row(f"{columns} of {NUMBERS}", setting, *(f"{mean:.3f}" for mean in means))


if __name__ == "__main__":
    main()
