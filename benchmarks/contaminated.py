"""Contaminated clean data: what train.trim and cross-fitting give back, beside isolation forest.

    python benchmarks/contaminated.py [--seeds 0 1 2]

New rows: fitted on contaminated rows, AUROC on other rows. Own rows: AUROC on the contaminated rows
themselves, by `fit_predict` (out-of-fold) and by the forest fitted on all of them.

breast cancer: 70 % of the benign rows and malignant ones, 10 % of all. digits: 70 % of the digits 0
to 8 and nines, 5 % of all; digits, zeros: the same with zeros among the others; digits, each in
turn: the mean over all ten digits in this role. optdigits, cardio,
pendigits: ADBench tables, 70 % of at most 3,000 normal rows and anomalies, 5 % of all or half of
them. cards: 20,000 generated transactions, 1 % of them one tight group.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from datasets import DATA, machine
from markdown_table import print_head, print_row
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from aemodel import AutoencoderDetector

Rows = NDArray[np.float64]
Labels = NDArray[np.bool_]
Labeled = tuple[Rows, Labels, Rows, Labels]  # contaminated rows and other rows, each with labels
CARDS, FRAUDS = 20_000, 200
MOST_GOOD = 3_000  # normal rows of an ADBench table


def mixed(rows: Rows, bad: Labels, share: float, seed: int) -> Labeled:
    """70 % of the good rows with bad ones, `share` of all; and all other rows."""
    random = np.random.default_rng(seed)
    good, other = (random.permutation(np.flatnonzero(each)) for each in (~bad, bad))
    n = int(0.7 * len(good))
    n_bad = round(n * share / (1 - share))
    first = np.concatenate([good[:n], other[:n_bad]])
    rest = np.concatenate([good[n:], other[n_bad:]])
    return rows[first], bad[first], rows[rest], bad[rest]


def breast_cancer(seed: int) -> Labeled:
    """Benign rows with 10 % malignant ones."""
    rows, target = load_breast_cancer(return_X_y=True)
    return mixed(rows, target == 0, 0.1, seed)


def digits(seed: int, rare: int = 9) -> Labeled:
    """All digits, `rare` ones being 5 %."""
    rows, target = load_digits(return_X_y=True)
    return mixed(rows, target == rare, 0.05, seed)


def adbench(seed: int, name: str) -> Labeled:
    """An ADBench table with 5 % anomalies, at most half of them."""
    table = np.load(DATA / "adbench" / f"{name}.npz")
    rows, bad = table["X"].astype(np.float64), table["y"] > 0
    random = np.random.default_rng(seed)
    good = random.permutation(np.flatnonzero(~bad))[:MOST_GOOD]
    kept = np.concatenate([good, np.flatnonzero(bad)])
    share = min(0.05, bad.sum() / 2 / (0.7 * len(good)))
    return mixed(rows[kept], bad[kept], share, seed)


def cards(seed: int) -> Labeled:
    """Card transactions of four kinds with a tight group of frauds, and half as many new ones."""
    random = np.random.default_rng(seed)
    rows = np.concatenate([purchases(random, CARDS - FRAUDS), frauds(random, FRAUDS)])
    new = np.concatenate([purchases(random, CARDS // 2), frauds(random, FRAUDS)])
    bad = [np.arange(len(each)) >= len(each) - FRAUDS for each in (rows, new)]
    return rows, bad[0], new, bad[1]


def purchases(random: np.random.Generator, n: int) -> Rows:
    """Amount, hour, distance, account age, purchases today, usual amount, shop, risk."""
    kind = random.integers(0, 4, n)
    amount = np.exp(random.normal(np.array([2.5, 3.3, 4.2, 5.5])[kind], 0.7))
    columns = [
        amount,
        (np.array([9, 13, 18, 21])[kind] + random.normal(0, 2.5, n)) % 24,
        np.exp(random.normal(1.0, 1.0, n)),
        random.gamma(4, 300, n),
        random.poisson(np.array([3, 5, 2, 1])[kind]),
        amount * np.exp(random.normal(0, 0.5, n)),
        random.integers(0, 40, n),
        random.beta(2, 8, n),
    ]
    return np.column_stack(columns).astype(np.float64)


def frauds(random: np.random.Generator, n: int) -> Rows:
    """One pattern: each column within the range of purchases, their combination far from them."""
    columns = [
        np.exp(random.normal(6.2, 0.1, n)),
        random.normal(3, 0.4, n),
        np.exp(random.normal(4, 0.15, n)),
        random.normal(60, 10, n),
        random.poisson(9, n),
        np.exp(random.normal(3, 0.2, n)),
        np.full(n, 17.0),
        random.normal(0.55, 0.03, n),
    ]
    return np.column_stack(columns).astype(np.float64)


def measure(found: Labeled, trim: float, seed: int) -> list[float]:
    """AUROC of new rows by forest, untrimmed and trimmed; of own rows by forest and trimmed."""
    rows, bad, new, new_bad = found
    forest = IsolationForest(random_state=seed).fit(rows)
    plain = AutoencoderDetector(random_state=seed).fit(rows)
    robust = AutoencoderDetector(random_state=seed, trim=trim)
    robust.fit_predict(rows)
    by_new = [roc_auc_score(new_bad, -each.score_samples(new)) for each in (forest, plain, robust)]
    own = (forest.score_samples(rows), robust.out_of_fold_scores_)
    return [*by_new, *(roc_auc_score(bad, -scores) for scores in own)]


TASKS: dict[str, tuple[Sequence[Callable[[int], Labeled]], float]] = {
    "breast cancer": ([breast_cancer], 0.1),
    "digits": ([digits], 0.05),
    "digits, zeros": ([partial(digits, rare=0)], 0.05),
    "digits, each in turn": ([partial(digits, rare=rare) for rare in range(10)], 0.05),
    "optdigits": ([partial(adbench, name="26_optdigits")], 0.05),
    "cardio": ([partial(adbench, name="6_cardio")], 0.05),
    "pendigits": ([partial(adbench, name="28_pendigits")], 0.05),
    "cards": ([cards], 0.05),
}


def main() -> None:
    """Print the mean AUROC over seeds for each table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", default=list(TASKS))
    args = parser.parse_args()
    print(f"{machine()}\n")
    new = ("new: forest", "trim = 0", "trimmed")
    print_head("AUROC", "trim", *new, "own: forest", "trimmed, out of fold")
    for name in args.only:
        cases, trim = TASKS[name]
        figures = [measure(make(seed), trim, seed) for seed in args.seeds for make in cases]
        print_row(name, trim, *(f"{each:.3f}" for each in np.mean(figures, axis=0)))


if __name__ == "__main__":
    main()
