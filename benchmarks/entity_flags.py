"""Share of clean rows flagged by `quantile 0.99`, by how many clean rows a machine has.

    python benchmarks/entity_flags.py [--seeds 12]

50 machines as in entities.py share 20,000 clean rows, from none to about 9,000 each. At night,
each has 200 more. Machines are ordered by their clean rows and averaged by fifths: with one cut
for all rows, and as `score` flags them. Mean and standard error over the seeds, in percent. The
model is the one that `nightglass init` proposes, with one member and 15 epochs.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from datasets import machine
from entities import CLEAN_ROWS, MACHINES, SCORES, Machines, Values, read_all, train, write_rows
from markdown_table import print_head, print_row
from numpy.typing import NDArray
from proposed import parse_job, propose_for_file

from aemodel.decisions.entity_groups import entity_groups
from aemodel.decisions.rules import allowed_above, parse_rule
from aemodel.model import Autoencoder
from flows.jobs.inputs import open_rows

NIGHT_ROWS = 200  # of each machine
UNEQUAL = 2.0  # standard deviation of the logarithm of the numbers of clean rows
FIFTHS = 5
RULE = parse_rule("quantile 0.99")
SETTINGS = ["data.entity=machine", "model.members=1", "train.epochs=15"]


def draw_rows(machines: Machines, random: np.random.Generator, which: NDArray[np.int64]) -> Values:
    """Draw the numbers of rows (n,) of machines."""
    noise = random.normal(size=(len(which), machines.level.shape[1]))
    return machines.level[which] + machines.spread[which] * noise


def flagged(model: Autoencoder, rows: NDArray[np.generic]) -> Values:
    """Return which rows (n, d) are flagged: (2, 2, n), by each of SCORES, by one cut and by own."""
    found = []
    for name, scores in zip(SCORES, model.scores(rows), strict=False):
        calibration = model.calibration_by(name)
        cut = calibration[-allowed_above(RULE, len(calibration))]
        groups = entity_groups(model.scaler.entities, model.measured, name, RULE)
        assert groups is not None
        found.append([scores > cut, groups.judged(rows, scores) > groups.cut])
    return np.array(found, np.float64)


def run_seed(seed: int) -> Values:
    """Return the shares flagged (2, 2, FIFTHS): by SCORES, by one cut and by own."""
    random = np.random.default_rng(seed)
    machines, weights = Machines.draw(random), np.exp(random.normal(0, UNEQUAL, MACHINES))
    clean = random.choice(MACHINES, CLEAN_ROWS, p=weights / weights.sum())
    night = np.repeat(np.arange(MACHINES), NIGHT_ROWS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        write_rows(path / "clean.parquet", clean, draw_rows(machines, random, clean))
        write_rows(path / "night.parquet", night, draw_rows(machines, random, night))
        job = parse_job(propose_for_file(path / "clean.parquet"), SETTINGS)
        model = train(job, seed)
        with open_rows(job, path / "night.parquet", model.layout) as source:
            found = flagged(model, read_all(source))
    by_machine = found.reshape(2, 2, MACHINES, NIGHT_ROWS).mean(axis=-1)
    order = np.argsort(np.bincount(clean, minlength=MACHINES))
    return by_machine[..., order].reshape(2, 2, FIFTHS, -1).mean(axis=-1)


def main() -> None:
    """Print a table of all fifths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=12)
    seeds = parser.parse_args().seeds
    found = 100 * np.array([run_seed(seed) for seed in range(seeds)])
    mean, error = found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(seeds)
    print(f"Machine: {machine()}\n")
    print_head("score", "calibration", *(f"fifth {fifth}" for fifth in range(1, 6)), left=2)
    for place, name in enumerate(SCORES):
        for own, calibration in enumerate(("one cut for all", "by group of machines")):
            cells = zip(mean[place, own], error[place, own], strict=True)
            print_row(name, calibration, *(f"{share:.2f} ± {away:.2f}" for share, away in cells))


if __name__ == "__main__":
    main()
