"""VUS-PR: the area under the precision-recall curve, averaged over tolerances around labels.

Paparrizos et al., "Volume Under the Surface", PVLDB 2022. Same figures as
`RangeAUC_volume_opt` of the package `vus`, which needs TensorFlow. Nothing is point-adjusted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 100  # rows, at most
THRESHOLDS = 250

Vector = NDArray[np.float64]


def vus_pr(labels: NDArray[np.bool_], scores: Vector, tolerance: int = TOLERANCE) -> float:
    """Return VUS-PR of scores (n,) given labels (n,); higher scores are more anomalous."""
    order = np.argsort(-scores, kind="stable")
    cuts = scores[order][np.linspace(0, len(scores) - 1, THRESHOLDS).astype(int)]
    counts = np.searchsorted(-scores[order], -cuts, side="right")  # rows at or above each cut
    areas = [
        _area(labels, scores, order=order, cuts=cuts, counts=counts, width=width)
        for width in range(tolerance + 1)
    ]
    return float(np.mean(areas))


def _area(
    labels: NDArray[np.bool_],
    scores: Vector,
    *,
    order: NDArray[np.intp],
    cuts: Vector,
    counts: NDArray[np.intp],
    width: int,
) -> float:
    """Return the area for labels that fade out over width // 2 rows on either side."""
    soft = _extended(labels, width)
    found = np.concatenate([[0.0], np.cumsum(soft[order])])[counts]
    around = np.concatenate([[0.0], np.cumsum(np.where(labels, 0, soft)[order])])[counts]
    positives = labels.sum() + around / 2
    peaks = np.array([scores[start:stop].max() for start, stop in _segments(soft > 0)])
    existence = (peaks >= cuts[:, None]).mean(axis=1)
    recall = np.concatenate([[0.0], np.minimum(found / positives, 1) * existence])
    return float(np.diff(recall) @ (found / counts))


def _extended(labels: NDArray[np.bool_], width: int) -> Vector:
    """Return labels (n,) that fade out before and after each anomaly."""
    soft, half = labels.astype(np.float64), width // 2
    for start, stop in _segments(labels):
        after = np.arange(stop, min(stop + half, len(soft)))
        soft[after] += np.sqrt(1 - (after - stop + 1) / width)
        before = np.arange(max(start - half, 0), start)
        soft[before] += np.sqrt(1 - (start - before) / width)
    return np.minimum(soft, 1)


def _segments(marked: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return start and stop (k, 2) of each run of marked rows."""
    edges = np.diff(np.concatenate([[0], marked.astype(np.int8), [0]]))
    return np.flatnonzero(edges).reshape(-1, 2)
