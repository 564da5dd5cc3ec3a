"""How well a table's anomalies are told from its clean rows: nightglass beside its peers on 19 ADBench sets, ECG5000 and SKAB.

    python benchmarks/detection.py                                 seeds 0 1 2; more than half an hour, most of it PyOD's autoencoder
    python benchmarks/detection.py --sets pendigits --seeds 0      one set, one seed
    python benchmarks/detection.py --keep figures.csv              figures kept in this file are not measured again
    python benchmarks/detection.py --keel FOLDER --methods nightglass kNN LOF IForest ECOD        tables of KEEL instead, see keel.py

One configuration serves all: the job file that `nightglass init` writes for the clean rows, unchanged (so a tenth or a fifth of them only
serve p-values; the peers learn from all). Peers see standardized rows and keep their authors' settings. Needs the extra `bench` (PyOD).
"""

from __future__ import annotations

import argparse
import csv
import logging
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from datasets import machine
from keel import keel_splits
from numpy.typing import NDArray
from scipy.stats import wilcoxon
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from tables import BESIDE, Rows, Split, adbench_names, split, standardized

from aemodel.rows.layout import Layout
from aemodel.training.loop import CleanRows, train_autoencoder
from aemodel.training.result import Trained
from flows.jobs.job_file import read_job
from flows.jobs.propose import propose_job

NEIGHBOURS = 5
EQUAL = 0.002  # differences of mean AUROC up to this are neither won nor lost
FIELDS = ("set", "seed", "method", "auroc", "ap", "seconds")
Scores = NDArray[np.float64]
Key = tuple[str, int, str]
Found = tuple[float, float, float]  # AUROC, average precision, seconds
Splits = Iterable[tuple[str, Split]]


def train_as_proposed(clean: Rows, seed: int) -> Trained:
    """Train on clean rows (n, d) by the job file that `nightglass init` writes for them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clean.npy"
        np.save(path, clean)
        (Path(folder) / "job.toml").write_text(
            propose_job(str(path), field="").text, encoding="utf-8"
        )
        job = read_job(Path(folder) / "job.toml")
    layout = Layout(row_shape=clean.shape[1:], dtype=clean.dtype.name)
    return train_autoencoder(
        CleanRows(lambda: [clean], layout, job.memory_bytes),
        model=job.model,
        train=replace(job.train, seed=seed),
    )


def nightglass(train: Rows, test: Rows, seed: int) -> dict[str, Scores]:
    errors, novelties, _ = train_as_proposed(train, seed).model.scores(test)
    return {"error": errors, "novelty": novelties}


def knn(train: Rows, test: Rows, _: int) -> dict[str, Scores]:
    return {"kNN": NearestNeighbors(n_neighbors=NEIGHBOURS).fit(train).kneighbors(test)[0][:, -1]}


def lof(train: Rows, test: Rows, _: int) -> dict[str, Scores]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Duplicate values")
        return {"LOF": -LocalOutlierFactor(novelty=True).fit(train).score_samples(test)}


def iforest(train: Rows, test: Rows, seed: int) -> dict[str, Scores]:
    return {"IForest": -IsolationForest(random_state=seed).fit(train).score_samples(test)}


def ecod(train: Rows, test: Rows, _: int) -> dict[str, Scores]:
    from pyod.models.ecod import ECOD  # the extra is asked for only where it is used

    return {"ECOD": ECOD().fit(train).decision_function(test)}


def pyod_autoencoder(train: Rows, test: Rows, seed: int) -> dict[str, Scores]:
    from pyod.models.auto_encoder import AutoEncoder

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


def measure(rows: Split, name: str, seed: int, method: str) -> Iterator[tuple[Key, Found]]:
    """The figures of the scores that one method gives."""
    train, test, anomaly = rows
    if method != "nightglass":
        train, test = standardized(train, test)
    began = time.perf_counter()
    scores = METHODS[method](train, test, seed)
    seconds = time.perf_counter() - began
    for score, values in scores.items():
        finite = np.nan_to_num(values, nan=np.inf).clip(max=np.finfo(np.float64).max)
        yield (
            (name, seed, score),
            (
                float(roc_auc_score(anomaly, finite)),
                float(average_precision_score(anomaly, finite)),
                seconds,
            ),
        )


def measure_all(
    splits: Callable[[int], Splits], seeds: Sequence[int], methods: Sequence[str], keep: Path | None
) -> dict[Key, Found]:
    """All figures, each measured unless the file `keep` holds it.

    New ones are added there. splits(seed): the tables by name.
    """
    found = read_kept(keep) if keep else {}
    for seed in seeds:
        for name, rows in splits(seed):
            for method in methods:
                if (name, seed, "error" if method == "nightglass" else method) not in found:
                    new = dict(measure(rows, name, seed, method))
                    found.update(new)
                    if keep:
                        append(keep, new)
    return found


def read_kept(path: Path) -> dict[Key, Found]:
    if not path.exists():
        path.write_text(",".join(FIELDS) + "\n", encoding="utf-8")
    with path.open(encoding="utf-8", newline="") as file:
        return {
            (row["set"], int(row["seed"]), row["method"]): (
                float(row["auroc"]),
                float(row["ap"]),
                float(row["seconds"]),
            )
            for row in csv.DictReader(file)
        }


def append(path: Path, found: Mapping[Key, Found]) -> None:
    with path.open("a", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([*key, *figures] for key, figures in found.items())


def mean_over_seeds(
    found: Mapping[Key, Found], name: str, seeds: Sequence[int], column: str
) -> tuple[float, float]:
    """Mean AUROC and average precision."""
    auroc, ap = np.mean([found[name, seed, column][:2] for seed in seeds], axis=0)
    return float(auroc), float(ap)


def show_sets(
    means: Mapping[str, Mapping[str, tuple[float, float]]], columns: Sequence[str]
) -> None:
    """Each set in a line, AUROC / AP, and below them the means."""
    print(f"\n| AUROC / AP | {' | '.join(columns)} |\n|:--|{'--:|' * len(columns)}")
    for name, row in means.items():
        print(
            f"| {name} | {' | '.join('{:.3f} / {:.3f}'.format(*row[column]) for column in columns)} |"
        )
    if len(means) > 1:
        totals = [np.mean([row[column] for row in means.values()], axis=0) for column in columns]
        print(
            f"| **mean** | {' | '.join('**{:.4f} / {:.4f}**'.format(*total) for total in totals)} |"
        )


def show_duels(
    means: Mapping[str, Mapping[str, tuple[float, float]]], columns: Sequence[str]
) -> None:
    """Our two scores against each peer over the sets."""
    print(
        "\n| AUROC against | won / lost | worse by > .03 | worse by > .01 | mean difference | Wilcoxon p |\n|:--|--:|--:|--:|--:|--:|"
    )
    for ours in columns[:2]:
        for peer in columns[2:]:
            gains = {name: row[ours][0] - row[peer][0] for name, row in means.items()}
            values = np.array(list(gains.values()))
            worse = [f"{name} {gain:+.3f}" for name, gain in gains.items() if gain < -0.01]
            print(
                f"| {ours} v {peer} | {(values > EQUAL).sum()} / {(values < -EQUAL).sum()} | {(values < -0.03).sum()} "
                f"| {len(worse)}{': ' if worse else ''}{', '.join(worse)} | {values.mean():+.4f} | {wilcoxon(values).pvalue:.2g} |"
            )


def show_seconds(
    found: Mapping[Key, Found], names: Sequence[str], seeds: Sequence[int], columns: Sequence[str]
) -> None:
    spent = [f"{'nightglass' if each == 'error' else each} {np.mean([sum(found[name, seed, each][2] for name in names) for seed in seeds]):.0f}"
             for each in columns if each != "novelty"]  # fmt: skip
    print(f"\nSeconds to learn and score all of these, a seed: {', '.join(spent)}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", default=[], help="names, in whole or in part")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--keel", type=Path)
    given = parser.parse_args()
    logging.disable(logging.INFO)  # PyOD's progress

    def splits(seed: int) -> Splits:
        tables = (
            keel_splits(given.keel, seed)
            if given.keel
            else ((name, split(name, seed)) for name in (*adbench_names(), *BESIDE))
        )
        return (
            (name, rows)
            for name, rows in tables
            if not given.sets or any(part in name for part in given.sets)
        )

    chosen = [name for name, _ in splits(given.seeds[0])]
    found = measure_all(splits, given.seeds, given.methods, given.keep)
    columns = [
        each
        for each in COLUMNS
        if all((name, seed, each) in found for name in chosen for seed in given.seeds)
    ]
    means = {
        name: {each: mean_over_seeds(found, name, given.seeds, each) for each in columns}
        for name in chosen
    }
    print(f"Machine: {machine()}; seeds {given.seeds}")
    public = {name: row for name, row in means.items() if name not in BESIDE}
    for part in (public, {name: row for name, row in means.items() if name in BESIDE}):
        if part:
            show_sets(part, columns)
    if len(public) > 1 and columns[:2] == ["error", "novelty"]:
        show_duels(public, columns)
    show_seconds(found, chosen, given.seeds, columns)


if __name__ == "__main__":
    main()
