"""Labeled tables as (train, test, is_anomaly).

Clean rows are training data; other clean rows and all anomalies are test data.

- ADBench (Han et al., NeurIPS 2022): 70 % of the normal rows train; the remaining normal rows and
  the anomalies test, at most CAP rows each.
- ECG5000: half of the normal beats train.
- SKAB: the anomaly-free run trains; the runs with valve 1 closed test.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from datasets import DATA
from numpy.typing import NDArray

Rows = NDArray[np.float64]
Split = tuple[Rows, Rows, NDArray[np.bool_]]
CAP = 50_000
SENSORS = range(1, 9)  # columns of a SKAB file, after the time and before the labels
NOT_ADBENCH = ("ecg5000", "skab")


def adbench_names() -> list[str]:
    """File stems such as '28_pendigits', in numeric order."""
    stems = [path.stem for path in (DATA / "adbench").glob("*.npz")]
    return sorted(stems, key=lambda stem: int(stem.partition("_")[0]))


def split(name: str, seed: int) -> Split:
    """Split a table by name.

    Returns train (n, d) and test (m, d) float64 in the units of the data, and which test rows are
    anomalies (m,).
    """
    if name == "skab":
        return _skab()
    if name == "ecg5000":
        return _ecg5000(seed)
    return _adbench(name, seed)


def standardized(train: Rows, test: Rows) -> tuple[Rows, Rows]:
    """Both tables in standard deviations from the mean of the training rows.

    Constant columns are centered but not scaled.
    """
    mean = train.mean(axis=0)
    deviation = train.std(axis=0)
    deviation = np.where(deviation < 1e-12, 1.0, deviation)
    return (train - mean) / deviation, (test - mean) / deviation


def _adbench(name: str, seed: int) -> Split:
    with np.load(DATA / "adbench" / f"{name}.npz", allow_pickle=False) as file:
        rows = file["X"].astype(np.float64)
        labels = file["y"].astype(int).ravel()
    random = np.random.default_rng(seed)
    normal = random.permutation(np.flatnonzero(labels == 0))
    anomalies = np.flatnonzero(labels == 1)
    count = round(0.7 * len(normal))
    train, rest = normal[:count][:CAP], normal[count:]
    rate = len(anomalies) / (len(anomalies) + len(rest))
    anomalies = random.permutation(anomalies)
    if len(rest) + len(anomalies) > CAP:
        kept = max(1, round(CAP * rate))
        anomalies, rest = anomalies[:kept], rest[: CAP - kept]
    test = random.permutation(np.concatenate([rest, anomalies]))
    return rows[train], rows[test], labels[test] == 1


def _ecg5000(seed: int) -> Split:
    with np.load(DATA / "ecg5000" / "ecg5000.npz", allow_pickle=False) as file:
        beats, labels = file["X"].astype(np.float64), file["y"]
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(labels == 0))
    half = len(normal) // 2
    test = np.concatenate([normal[half:], np.flatnonzero(labels == 1)])
    return beats[normal[:half]], beats[test], labels[test] == 1


def _skab() -> Split:
    folder = DATA / "skab"
    train = _skab_run(folder / "anomaly-free" / "anomaly-free.csv", SENSORS)
    paths = sorted((folder / "valve1").glob("*.csv"), key=lambda path: int(path.stem))
    sensors_and_label = range(1, 10)
    test = np.concatenate([_skab_run(path, sensors_and_label) for path in paths])
    return train, test[:, :-1], test[:, -1] == 1


def _skab_run(path: Path, columns: Iterable[int]) -> Rows:
    return np.loadtxt(path, delimiter=";", skiprows=1, usecols=columns)
