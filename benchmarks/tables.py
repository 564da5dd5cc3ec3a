"""Labelled tables as (train, test, is_anomaly): clean rows to learn from, other clean rows and all anomalies to tell apart.

ADBench (Han et al., NeurIPS 2022): 70 % of the normal rows train, the others and the anomalies test, at most CAP rows each. ECG5000: half
of the normal beats train. SKAB: the rig's anomaly-free run trains, its runs with valve 1 being shut test.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from datasets import DATA
from numpy.typing import NDArray

Rows = NDArray[np.float64]
Split = tuple[Rows, Rows, NDArray[np.bool_]]
CAP = 50_000
SENSORS = range(1, 9)  # columns of a SKAB file, after the time and before the labels
BESIDE = ("ecg5000", "skab")


def adbench_names() -> list[str]:
    """File stems such as '28_pendigits', in their own numeric order."""
    return sorted(
        (path.stem for path in (DATA / "adbench").glob("*.npz")),
        key=lambda stem: int(stem.partition("_")[0]),
    )


def split(name: str, seed: int) -> Split:
    """Train (n, d) and test (m, d) float64 in the data's own units, and which test rows are anomalies (m,)."""
    if name == "skab":
        return _skab()
    return _ecg5000(seed) if name == "ecg5000" else _adbench(name, seed)


def standardized(train: Rows, test: Rows) -> tuple[Rows, Rows]:
    """Both in standard deviations from the mean of the train rows.

    A constant column is left as wide as it is.
    """
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation = np.where(deviation < 1e-12, 1.0, deviation)
    return (train - mean) / deviation, (test - mean) / deviation


def _adbench(name: str, seed: int) -> Split:
    with np.load(DATA / "adbench" / f"{name}.npz", allow_pickle=False) as file:
        rows, labels = file["X"].astype(np.float64), file["y"].astype(int).ravel()
    random = np.random.default_rng(seed)
    normal, anomalies = random.permutation(np.flatnonzero(labels == 0)), np.flatnonzero(labels == 1)
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
    def read(path: Any, columns: Any) -> Rows:
        return np.loadtxt(path, delimiter=";", skiprows=1, usecols=columns)

    test = np.concatenate(
        [
            read(path, range(1, 10))
            for path in sorted((DATA / "skab" / "valve1").glob("*.csv"), key=lambda p: int(p.stem))
        ]
    )
    return (
        read(DATA / "skab" / "anomaly-free" / "anomaly-free.csv", SENSORS),
        test[:, :-1],
        test[:, -1] == 1,
    )
