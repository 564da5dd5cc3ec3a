"""Anomaly detection on 19 ADBench sets, ECG5000, and SKAB: nightglass against its peers.

    python benchmarks/detection.py
        Seeds 0 1 2; more than half an hour, most of it for PyOD's autoencoder.
    python benchmarks/detection.py --sets pendigits --seeds 0
        One set, one seed.
    python benchmarks/detection.py --keep figures.csv
        Skip figures that this file already holds, and add new ones to it.
    python benchmarks/detection.py --keel FOLDER --methods nightglass kNN LOF IForest ECOD
        Tables of KEEL instead, see keel.py.

All sets use one configuration: the job file that `nightglass init` writes for the clean rows,
unchanged. It reserves a tenth or a fifth of them for p-values; the peers train on all of them.
Peers get standardized rows and keep their default settings. Requires the extra `bench` (PyOD).
"""

from __future__ import annotations

import argparse
import csv
import logging
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from datasets import machine
from keel import keel_splits
from markdown_table import print_head, print_row
from numpy.typing import NDArray
from proposed import train_as_proposed
from scipy.stats import wilcoxon
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from tables import NOT_ADBENCH, Rows, Split, adbench_names, split, standardized

NEIGHBORS = 5
EQUAL = 0.002  # smaller differences in mean AUROC count as neither won nor lost
FIELDS = ("set", "seed", "method", "auroc", "ap", "seconds")
Scores = NDArray[np.float64]
Key = tuple[str, int, str]  # set, seed, score
Found = tuple[float, float, float]  # AUROC, average precision, seconds
Means = Mapping[str, Mapping[str, tuple[float, float]]]  # AUROC, AP by set and score
Splits = Iterable[tuple[str, Split]]


def nightglass(train: Rows, test: Rows, seed: int) -> dict[str, Scores]:
    errors, novelties, _ = train_as_proposed(train, seed).model.scores(test)
    return {"error": errors, "novelty": novelties}


def knn(train: Rows, test: Rows, _: int) -> dict[str, Scores]:
    distances, _ = NearestNeighbors(n_neighbors=NEIGHBORS).fit(train).kneighbors(test)
    return {"kNN": distances[:, -1]}


def lof(train: Rows, test: Rows, _: int) -> dict[str, Scores]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Duplicate values")
        return {"LOF": -LocalOutlierFactor(novelty=True).fit(train).score_samples(test)}


def iforest(train: Rows, test: Rows, seed: int) -> dict[str, Scores]:
    return {"IForest": -IsolationForest(random_state=seed).fit(train).score_samples(test)}


def ecod(train: Rows, test: Rows, _: int) -> dict[str, Scores]:
    from pyod.models.ecod import ECOD  # only this method needs the extra

    return {"ECOD": ECOD().fit(train).decision_function(test)}


def pyod_autoencoder(train: Rows, test: Rows, seed: int) -> dict[str, Scores]:
    from pyod.models.auto_encoder import AutoEncoder  # only this method needs the extra

    detector = AutoEncoder(random_state=seed, verbose=0, batch_size=min(32, len(train)))
    return {"PyOD AE": detector.fit(train).decision_function(test)}


METHODS: dict[str, Callable[[Rows, Rows, int], dict[str, Scores]]] = {
    "nightglass": nightglass,
    "kNN": knn,
    "LOF": lof,
    "IForest": iforest,
    "ECOD": ecod,
    "PyOD AE": pyod_autoencoder,
}
COLUMNS = ("error", "novelty", *list(METHODS)[1:])


@dataclass(frozen=True)
class Figures:
    """All figures by set, seed, and score; new ones are appended to the CSV file `keep`."""

    keep: Path | None
    found: dict[Key, Found] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.keep and self.keep.exists():
            self.found.update(read_figures(self.keep))
        elif self.keep:
            self.keep.write_text(",".join(FIELDS) + "\n", encoding="utf-8")

    def add(self, new: Mapping[Key, Found]) -> None:
        """Add figures, to the file too."""
        self.found.update(new)
        if self.keep:
            with self.keep.open("a", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([*key, *figures] for key, figures in new.items())

    def complete(self, names: Sequence[str], seeds: Sequence[int], column: str) -> bool:
        """Whether a score has figures for all sets and seeds."""
        return all((name, seed, column) in self.found for name in names for seed in seeds)

    def mean(self, name: str, seeds: Sequence[int], column: str) -> tuple[float, float]:
        """Mean AUROC and average precision over seeds."""
        auroc, ap = np.mean([self.found[name, seed, column][:2] for seed in seeds], axis=0)
        return float(auroc), float(ap)

    def seconds(self, names: Sequence[str], seeds: Sequence[int], column: str) -> float:
        """Mean seconds per seed to train on and score all sets."""
        totals = [sum(self.found[name, seed, column][2] for name in names) for seed in seeds]
        return float(np.mean(totals))


def read_figures(path: Path) -> dict[Key, Found]:
    """The figures in a CSV file with the columns FIELDS."""
    found = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            key = (row["set"], int(row["seed"]), row["method"])
            found[key] = (float(row["auroc"]), float(row["ap"]), float(row["seconds"]))
    return found


def measure(rows: Split, name: str, seed: int, method: str) -> Iterator[tuple[Key, Found]]:
    """Measure each score that one method gives."""
    train, test, anomaly = rows
    if method != "nightglass":
        train, test = standardized(train, test)
    began = time.perf_counter()
    scores = METHODS[method](train, test, seed)
    seconds = time.perf_counter() - began
    for score, values in scores.items():
        finite = np.nan_to_num(values, nan=np.inf).clip(max=np.finfo(np.float64).max)
        auroc = float(roc_auc_score(anomaly, finite))
        ap = float(average_precision_score(anomaly, finite))
        yield (name, seed, score), (auroc, ap, seconds)


def measure_all(
    splits: Callable[[int], Splits], seeds: Sequence[int], methods: Sequence[str], figures: Figures
) -> None:
    """Measure whatever `figures` does not hold yet; splits(seed) yields the tables by name."""
    for seed in seeds:
        for name, rows in splits(seed):
            for method in methods:
                column = "error" if method == "nightglass" else method
                if (name, seed, column) not in figures.found:
                    figures.add(dict(measure(rows, name, seed, method)))


def show_sets(means: Means, columns: Sequence[str]) -> None:
    """Print AUROC / AP, one set per row, then the means."""
    print()
    print_head("AUROC / AP", *columns)
    for name, row in means.items():
        print_row(name, *("{:.3f} / {:.3f}".format(*row[column]) for column in columns))
    if len(means) > 1:
        totals = [np.mean([row[column] for row in means.values()], axis=0) for column in columns]
        print_row("**mean**", *("**{:.4f} / {:.4f}**".format(*total) for total in totals))


def show_duels(means: Means, columns: Sequence[str]) -> None:
    """Print our two scores against each peer over the sets."""
    print()
    print_head(
        "AUROC against",
        "won / lost",
        "worse by > 0.03",
        "worse by > 0.01",
        "mean difference",
        "Wilcoxon p",
    )
    for ours in columns[:2]:
        for peer in columns[2:]:
            gains = {name: row[ours][0] - row[peer][0] for name, row in means.items()}
            print_row(f"{ours} vs. {peer}", *duel(gains))


def duel(gains: Mapping[str, float]) -> Iterator[str]:
    """Cells for the differences in AUROC by set."""
    values = np.array(list(gains.values()))
    worse = [f"{name} {gain:+.3f}" for name, gain in gains.items() if gain < -0.01]
    yield f"{(values > EQUAL).sum()} / {(values < -EQUAL).sum()}"
    yield f"{(values < -0.03).sum()}"
    yield f"{len(worse)}: {', '.join(worse)}" if worse else "0"
    yield f"{values.mean():+.4f}"
    yield f"{wilcoxon(values).pvalue:.2g}"


def show_seconds(
    figures: Figures, names: Sequence[str], seeds: Sequence[int], columns: Sequence[str]
) -> None:
    """Print the seconds of each method; error and novelty come from one training."""
    spent = []
    for column in columns:
        if column != "novelty":
            method = "nightglass" if column == "error" else column
            spent.append(f"{method} {figures.seconds(names, seeds, column):.0f}")
    print(f"\nSeconds to train on and score all sets, per seed: {', '.join(spent)}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", default=[], help="names or parts of names")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--keel", type=Path)
    return parser.parse_args()


def public_splits(seed: int) -> Splits:
    """ADBench, ECG5000, and SKAB by name."""
    return ((name, split(name, seed)) for name in (*adbench_names(), *NOT_ADBENCH))


def show(figures: Figures, names: Sequence[str], seeds: Sequence[int]) -> None:
    """Print all tables for the scores that are complete."""
    columns = [each for each in COLUMNS if figures.complete(names, seeds, each)]
    means = {name: {each: figures.mean(name, seeds, each) for each in columns} for name in names}
    main_sets = {name: row for name, row in means.items() if name not in NOT_ADBENCH}
    other_sets = {name: row for name, row in means.items() if name in NOT_ADBENCH}
    for part in (main_sets, other_sets):
        if part:
            show_sets(part, columns)
    if len(main_sets) > 1 and columns[:2] == ["error", "novelty"]:
        show_duels(main_sets, columns)
    show_seconds(figures, names, seeds, columns)


def main() -> None:
    given = parse_arguments()
    logging.disable(logging.INFO)  # PyOD's progress

    def splits(seed: int) -> Splits:
        tables = keel_splits(given.keel, seed) if given.keel else public_splits(seed)
        for name, rows in tables:
            if not given.sets or any(part in name for part in given.sets):
                yield name, rows

    names = [name for name, _ in splits(given.seeds[0])]
    figures = Figures(given.keep)
    measure_all(splits, given.seeds, given.methods, figures)
    print(f"Machine: {machine()}; seeds {given.seeds}")
    show(figures, names, given.seeds)


if __name__ == "__main__":
    main()
