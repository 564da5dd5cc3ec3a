"""Gaps in one column of the clean rows: what they cost where values are observed.

    python benchmarks/gaps.py [--share 0.7] [--rows 5000] [--seeds 0 1 2] [--only circle]

Networks are fitted to generated tables twice, without gaps and with gaps at random in the last
column. Column: mean squared error of that column in new rows without gaps, over its variance, and
the ratio of both trainings. Others: the same ratio of the other columns in new rows that lack the
last one. AUROC: new rows with such gaps, in every second of which one of the other columns has
another row's value, by error and novelty.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from datasets import machine
from markdown_table import print_head, print_row
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from aemodel import AutoencoderDetector
from aemodel.model import Autoencoder
from aemodel.parameters import settings_for
from aemodel.rows.layout import CATEGORY, NUMBER, Layout
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.loop import CleanRows, train_autoencoder

Random = np.random.Generator
Rows = NDArray[np.float64]
NEW = 2_000  # rows
PLAIN = ModelSettings(
    hidden=(32,), latent=3, activation="silu", output="identity", loss="mse", scaling="standard"
)
PLAIN_TRAIN = TrainSettings(epochs=40, batch_size=64, learning_rate=3e-3, calibration=0.2)


def factors(random: Random, n: int, d: int = 5, hidden: int = 2) -> Rows:
    """Linear: d sensors of hidden variables."""
    weights = np.random.default_rng(1).normal(size=(hidden, d))
    return random.normal(size=(n, hidden)) @ weights + 0.05 * random.normal(size=(n, d))


def circle(random: Random, n: int) -> Rows:
    """Points of a closed curve; the last column is not a function of any other one."""
    angle = 2 * np.pi * random.random(n)
    rows = np.c_[np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)]
    return rows + 0.03 * random.normal(size=rows.shape)


def products(random: Random, n: int) -> Rows:
    """The last columns are nonlinear in the first."""
    x, y = random.normal(size=(2, n))
    rows = np.c_[x, y, np.tanh(x + y), x * y, np.exp(0.5 * x) - y**2]
    return rows + 0.05 * random.normal(size=rows.shape)


def curves(random: Random, n: int) -> Rows:
    """Twelve smooth functions of three variables."""
    fixed = np.random.default_rng(5)
    hidden = np.tanh(random.normal(size=(n, 3)) @ fixed.normal(size=(3, 24)))
    return hidden @ fixed.normal(size=(24, 12)) / 4 + 0.05 * random.normal(size=(n, 12))


def states(random: Random, n: int) -> Rows:
    """Four states, sensors within each."""
    centers = 5 * np.random.default_rng(3).normal(size=(4, 6))
    return centers[random.integers(0, 4, n)] + factors(random, n, 6)


def skewed(random: Random, n: int) -> Rows:
    """Log-normal sensors."""
    return np.exp(0.7 * factors(random, n))


def free(random: Random, n: int) -> Rows:
    """The last column depends on no other one."""
    return np.c_[factors(random, n), random.normal(size=n)]


def with_levels(random: Random, n: int) -> Rows:
    """A category of four levels, which the numbers depend on, as the first column."""
    level = random.integers(0, 4, n)
    centers = 2 * np.random.default_rng(3).normal(size=(4, 5))
    return np.c_[level, centers[level] + factors(random, n)]


TABLES: dict[str, Callable[[Random, int], Rows]] = {
    "factors": factors,
    "circle": circle,
    "products": products,
    "curves": curves,
    "states": states,
    "skewed": skewed,
    "free": free,
    "levels": with_levels,
}


def layout_of(name: str, rows: Rows) -> Layout:
    d = rows.shape[1]
    kinds = (CATEGORY, *[NUMBER] * (d - 1)) if name == "levels" else ()
    columns = tuple(f"c{place}" for place in range(d)) if kinds else ()
    return Layout(row_shape=(d,), dtype="float64", columns=columns, kinds=kinds)


def settings(network: str, rows: Rows, layout: Layout) -> tuple[ModelSettings, TrainSettings]:
    """Settings of the detector, `prototypes`, or of a small network, `plain`."""
    if network == "prototypes":
        return settings_for(AutoencoderDetector(members=2).get_params(), len(rows), layout)
    return PLAIN, PLAIN_TRAIN


def fit(name: str, network: str, rows: Rows, seed: int) -> Autoencoder:
    layout = layout_of(name, rows)
    model, train = settings(network, rows, layout)
    clean = CleanRows.in_memory(rows, layout)
    return train_autoencoder(clean, model=model, train=replace(train, seed=seed)).model


def errors(model: Autoencoder, rows: Rows, lacking: Rows) -> tuple[float, float]:
    """Error of the last column in rows, and of all others in rows that lack it."""
    squares = model.residuals(rows) ** 2
    others = model.residuals(lacking)[:, :-1] ** 2
    return float(squares[:, -1].mean() / model.scale(rows)[:, -1].var()), float(others.mean())


def swapped(random: Random, rows: Rows) -> Rows:
    """Rows, every second of which has another row's value in one column but the last."""
    found, places = rows.copy(), np.arange(0, len(rows), 2)
    columns = random.integers(0, rows.shape[1] - 1, len(places))
    found[places, columns] = rows[random.permutation(len(rows))[: len(places)], columns]
    return found


def measure(name: str, network: str, share: float, n: int, seed: int) -> tuple[float, ...]:
    """One line of the table."""
    random = np.random.default_rng(seed)
    whole = TABLES[name](random, n)
    gappy, new = whole.copy(), TABLES[name](random, NEW)
    gappy[random.random(n) < share, -1] = np.nan
    lacking, night = new.copy(), swapped(random, new)
    lacking[:, -1] = np.nan
    night[random.random(NEW) < share, -1] = np.nan
    model = fit(name, network, whole, seed)
    column, others = errors(model, new, new)
    model = fit(name, network, gappy, seed)
    column_gaps, others_gaps = errors(model, new, lacking)
    by_error, by_novelty, _ = model.scores(night)
    odd = np.arange(NEW) % 2 == 0
    ranks = [roc_auc_score(odd, scores) for scores in (by_error, by_novelty)]
    return column, column_gaps, column_gaps / column, others_gaps / others, *ranks


def main() -> None:
    """Print errors and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=0.7)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", default=list(TABLES))
    parser.add_argument("--networks", nargs="+", default=["prototypes", "plain"])
    args = parser.parse_args()
    print(f"{machine()}\n")
    heads = ("column without", "with gaps", "ratio", "others", "AUROC by error", "by novelty")
    print_head("table", "network", *heads, left=2)
    for name in args.only:
        for network in args.networks:
            found = [measure(name, network, args.share, args.rows, seed) for seed in args.seeds]
            print_row(name, network, *cells(np.mean(found, axis=0)))


def cells(means: Rows) -> tuple[str, ...]:
    """Texts of one line."""
    column, gaps, *others = means
    return (f"{column:.4f}", f"{gaps:.4f}", *(f"{each:.2f}" for each in others))


if __name__ == "__main__":
    main()
