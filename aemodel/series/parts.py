"""The parts of a window's score, each of which sees other anomalies.

energy: mean over the scales of the whitened energy, the Gaussian view.
peak: mean over the scales of the largest energy at one position: what is short.
distance: to the NEIGHBORS nearest clean windows: patterns that never occurred.
residual: what principal components of clean windows, with KEPT of the variance, leave over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.series.features import Windows
from aemodel.series.pyramid import Values

NEIGHBORS = 3
KEPT = 0.9  # share of the variance
BATCH = 256  # windows; every batch is padded to it, so that scores do not depend on grouping
N_PARTS = 4


@dataclass(frozen=True)
class Reference:
    """Clean windows that others are compared with.

    points (r, p): a sample of clean windows. center (p,), axes (c, p): of principal components.
    usual (2, s): mean of energies and peaks of clean windows at each scale.
    """

    points: Values
    center: Values
    axes: Values
    usual: NDArray[np.float64]

    @classmethod
    def fit(cls, clean: Windows, *, most: int, seed: int) -> Reference:
        """Keep at most `most` clean windows, and their principal components."""
        points = clean.points
        usual = np.stack([clean.energies.mean(axis=0), clean.peaks.mean(axis=0)])
        center = points.mean(axis=0, dtype=np.float64).astype(np.float32)
        chosen = np.arange(len(points))
        if len(points) > most:
            chosen = np.sort(np.random.default_rng(seed).choice(len(points), most, replace=False))
        return cls(points[chosen], center, _axes(points - center), np.maximum(usual, 1e-12))

    def parts(self, windows: Windows) -> NDArray[np.float64]:
        """Return the parts (k, N_PARTS) of the scores of windows."""
        energy = (windows.energies / self.usual[0]).mean(axis=1)
        peak = (windows.peaks / self.usual[1]).mean(axis=1)
        found = np.empty((len(energy), N_PARTS))
        found[:, 0], found[:, 1] = energy, peak
        padded = np.zeros((BATCH, self.points.shape[1]), np.float32)
        for start in range(0, len(energy), BATCH):
            part = windows.points[start : start + BATCH]
            padded[: len(part)] = part
            stop = start + len(part)
            found[start:stop, 2] = self._distances(padded)[: len(part)]
            found[start:stop, 3] = self._residuals(padded)[: len(part)]
        return found

    def _distances(self, points: Values) -> NDArray[np.float32]:
        """Return the mean squared distance (k,) to the nearest reference points."""
        squares = self._squares[None] + (points * points).sum(axis=1)[:, None]
        distances = squares - 2 * (points @ self.points.T)
        k = min(NEIGHBORS, len(self.points))
        nearest = np.partition(distances, k - 1, axis=1)[:, :k]
        return np.asarray(np.maximum(nearest, 0).mean(axis=1), np.float32)

    @property
    def _squares(self) -> NDArray[np.float32]:
        return np.asarray((self.points * self.points).sum(axis=1))

    def _residuals(self, points: Values) -> NDArray[np.float32]:
        centered = points - self.center
        along = centered @ self.axes.T
        return np.asarray(
            np.maximum((centered * centered).sum(axis=1) - (along * along).sum(axis=1), 0),
            np.float32,
        )


def _axes(centered: Values) -> Values:
    covariance = (centered.T @ centered).astype(np.float64) / len(centered)
    variances, directions = np.linalg.eigh(covariance)
    shares = np.cumsum(variances[::-1]) / max(variances.sum(), 1e-30)
    count = min(int(np.searchsorted(shares, KEPT)) + 1, len(variances), max(1, len(centered) - 1))
    return np.ascontiguousarray(directions[:, ::-1][:, :count].T.astype(np.float32))
