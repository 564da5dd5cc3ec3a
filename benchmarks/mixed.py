"""Tables with categories and times: detection, and its cost.

    python benchmarks/mixed.py tables [--sets nursery …] [--seeds 0 1 2]
        18 mixed tables: 70 % of the normal rows train, the others and all anomalies test.
    python benchmarks/mixed.py cost
        CPU seconds of init, train, and score with 200,000 rows of 10 numbers and 10 categories of
        5 to 5,000 levels, beside the same rows without the categories.

All models are those of the job file that `nightglass init` writes, unchanged.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from commands import command
from datasets import DATA, machine
from markdown_table import print_head, print_row
from mixed_models import Rows, fit, saved
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import OneHotEncoder, StandardScaler

NEIGHBORS = 5
TRAIN_SHARE = 0.7


def one_hot_neighbors(train: pa.Table, test: pa.Table) -> Rows:
    """Distance to the fifth neighbor: numbers standardized, levels one-hot / sqrt(2)."""
    fields = list(train.schema)
    texts = [each.name for each in fields if pa.types.is_string(each.type)]
    numbers = [each.name for each in fields if each.name not in texts]
    both = (train, test)
    parts = _standardized(both, numbers) if numbers else []
    if texts:
        levels = [_stacked(each, texts, object) for each in both]
        encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(levels[0])
        parts.append([encoder.transform(each) / np.sqrt(2) for each in levels])
    first, second = (np.concatenate([part[i] for part in parts], axis=1) for i in (0, 1))
    found, _ = NearestNeighbors(n_neighbors=NEIGHBORS).fit(first).kneighbors(second)
    return np.asarray(found[:, -1])


def _standardized(both: Sequence[pa.Table], names: Sequence[str]) -> list[list[Rows]]:
    values = [_stacked(each, names, float) for each in both]
    known = ~np.isnan(values[0]).all(axis=0)
    usual = np.nanmedian(values[0][:, known], axis=0)
    filled = [np.where(np.isnan(each[:, known]), usual, each[:, known]) for each in values]
    scaler = StandardScaler().fit(filled[0])
    return [[scaler.transform(each) for each in filled]]


def _stacked(table: pa.Table, names: Sequence[str], kind: type) -> NDArray[np.generic]:
    return np.stack([np.array(table[name].to_pylist(), kind) for name in names], axis=1)


def split_table(path: Path, seed: int) -> tuple[pa.Table, pa.Table, NDArray[np.int64]]:
    """Return train and test rows of a mixed table, and which test rows are anomalies."""
    table = pq.read_table(path)
    labels = np.array(table["anomaly"].to_pylist())
    table = table.drop(["anomaly"])
    normal = np.flatnonzero(labels == 0)
    np.random.default_rng(seed).shuffle(normal)
    cut = int(TRAIN_SHARE * len(normal))
    test = np.concatenate([normal[cut:], np.flatnonzero(labels == 1)])
    return table.take(normal[:cut]), table.take(test), labels[test]


def tables(names: Sequence[str], seeds: Sequence[int]) -> None:
    """Print AUROC and average precision of every table."""
    print_head("table", "error", "novelty", "kNN one-hot")
    found = []
    for path in sorted((DATA / "mixed").glob("*.parquet")):
        if names and path.stem not in names:
            continue
        figures = np.mean([table_figures(path, seed) for seed in seeds], axis=0)
        found.append(figures)
        print_row(path.stem, *(f"{auroc:.3f} / {ap:.3f}" for auroc, ap in figures))
    print_row("mean", *(f"{auroc:.4f} / {ap:.4f}" for auroc, ap in np.mean(found, axis=0)))


def table_figures(path: Path, seed: int) -> list[tuple[float, float]]:
    """AUROC and average precision of error, novelty and neighbors on one table."""
    train, test, labels = split_table(path, seed)
    scores = {**fit(train, seed).scores(test), "kNN": one_hot_neighbors(train, test)}
    return [
        (roc_auc_score(labels, each), average_precision_score(labels, each))
        for each in (np.minimum(found, np.finfo(float).max) for found in scores.values())
    ]


def wide_categories(n: int, *, categories: bool) -> pa.Table:
    """10 numbers, and 10 categories of 5 to 5,000 levels."""
    random = np.random.default_rng(0)
    columns = {f"x{i}": random.normal(size=n) for i in range(10)}
    for i, size in enumerate(np.geomspace(5, 5_000, 10).round().astype(int)) if categories else ():
        levels = (size * random.random(n) ** 2).astype(int)
        columns[f"c{i}"] = np.array([f"level {each}" for each in range(size)])[levels]
    return pa.table(columns)


def cost() -> None:
    """Print CPU seconds with and without the categories, and their ratios."""
    print_head("200,000 rows", "init", "train", "score", "all", "in one process: train", "score")
    found = []
    for name, categories in (("10 numbers", False), ("10 numbers, 10 categories", True)):
        table = wide_categories(200_000, categories=categories)
        by_command = seconds_of_commands(table)
        found.append(np.array([*by_command, sum(by_command), *seconds_in_process(table)]))
        print_row(name, *(f"{each:.1f}" for each in found[-1]))
    print_row("ratio", *(f"{each:.2f}" for each in found[1] / found[0]))


def seconds_of_commands(table: pa.Table) -> list[float]:
    """CPU seconds of `init`, `train`, and `score`, each in a process of its own."""
    with saved(table) as path:
        job = path.with_name("job.toml")
        times = [_seconds_of_children()]
        proposed = command("init", path)
        times.append(_seconds_of_children())
        job.write_text(proposed["job"], encoding="utf-8")
        for line in (("train", job), ("score", job, "--source", path, "--no-prefect")):
            command(*line)
            times.append(_seconds_of_children())
    return np.diff(times).tolist()


def _seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def seconds_in_process(table: pa.Table) -> list[float]:
    """CPU seconds of proposing and training, and of reading and scoring, without start-up."""
    times = [time.process_time()]
    fitted = fit(table, 0)
    times.append(time.process_time())
    fitted.scores(table)
    times.append(time.process_time())
    return np.diff(times).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("tables", "cost"))
    parser.add_argument("--sets", nargs="*", default=[])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    asked = parser.parse_args()
    print(machine())
    if asked.what == "tables":
        tables(asked.sets, asked.seeds)
    else:
        cost()


if __name__ == "__main__":
    main()
