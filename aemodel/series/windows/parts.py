"""The parts of a window's score, each of which sees other anomalies.

energy: mean over the scales of the whitened energy, the Gaussian view.
peak: mean over the scales of the largest energy at one position: what is short.
distance: to the NEIGHBORS nearest clean windows: patterns that never occurred.
residual: what principal components of clean windows, with KEPT of the variance, leave over.
activity: how far any one sensor is from its usual log energies: flat lines, other frequencies.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aemodel.series.windows.features import N_COARSE, Windows
from aemodel.series.windows.pyramid import Values

NEIGHBORS = 3
KEPT = 0.9  # share of the variance
BATCH = 256  # windows; every batch is padded to it, so that scores do not depend on grouping
N_PARTS = 5
LEAST_SPREAD = 0.1  # of log energies
FEWEST = 10.0  # windows that do not overlap, up to which spreads of log energies are unknown
ENOUGH = 100.0  # more of them, after which the spreads are half known


@dataclass(frozen=True)
class CleanWindows:
    """Clean windows that others are compared with.

    points (r, p): a sample of clean windows. center (p,), axes (c, p): of principal components.
    usual (2, s): mean of energies and peaks of clean windows at each scale. moves (2, m): mean and
    spread of the log energies of each sensor.
    """

    points: Values
    center: Values
    axes: Values
    usual: NDArray[np.float64]
    moves: Values

    @classmethod
    def fit(cls, clean: Windows, *, most: int, seed: int) -> CleanWindows:
        """Keep at most `most` clean windows, and their principal components."""
        points = clean.points
        usual = np.stack([clean.energies.mean(axis=0), clean.peaks.mean(axis=0)])
        center = points.mean(axis=0, dtype=np.float64).astype(np.float32)
        chosen = np.arange(len(points))
        if len(points) > most:
            chosen = np.sort(np.random.default_rng(seed).choice(len(points), most, replace=False))
        spread = np.maximum(clean.moves.std(axis=0, dtype=np.float64), LEAST_SPREAD)
        moves = np.stack([clean.moves.mean(axis=0, dtype=np.float64), spread]).astype(np.float32)
        axes = _axes(points - center)
        return cls(points[chosen], center, axes, np.maximum(usual, 1e-12), moves)

    def parts(self, windows: Windows) -> NDArray[np.float64]:
        """Return the parts (k, N_PARTS) of the scores of windows."""
        energy = (windows.energies / self.usual[0]).mean(axis=1)
        peak = (windows.peaks / self.usual[1]).mean(axis=1)
        found = np.empty((len(energy), N_PARTS))
        found[:, 0], found[:, 1], found[:, 4] = energy, peak, self._activity(windows.moves)
        padded = np.zeros((BATCH, self.points.shape[1]), np.float32)
        for start in range(0, len(energy), BATCH):
            part = windows.points[start : start + BATCH]
            padded[: len(part)] = part
            stop = start + len(part)
            found[start:stop, 2] = self._distances(padded)[: len(part)]
            found[start:stop, 3] = self._residuals(padded)[: len(part)]
        return found

    def _activity(self, moves: Values) -> NDArray[np.float32]:
        """Return the largest mean square (k,) over sensors of their standardized log energies."""
        squares = ((moves - self.moves[0]) / self.moves[1]) ** 2
        by_sensor = squares.reshape(len(moves), self._n_fine, -1).mean(axis=1)
        return np.asarray(by_sensor.max(axis=1))

    @property
    def _n_fine(self) -> int:
        return int(self.usual.shape[1]) - N_COARSE

    def _distances(self, points: Values) -> NDArray[np.float32]:
        """Return the mean squared distance (k,) to the nearest reference points."""
        squares = self._squares[None] + (points * points).sum(axis=1)[:, None]
        distances = squares - 2 * (points @ self.points.T)
        k = min(NEIGHBORS, len(self.points))
        nearest = np.partition(distances, k - 1, axis=1)[:, :k]
        return np.asarray(np.maximum(nearest, 0).mean(axis=1), np.float32)

    @cached_property
    def _squares(self) -> NDArray[np.float32]:
        return np.asarray((self.points * self.points).sum(axis=1))

    def _residuals(self, points: Values) -> NDArray[np.float32]:
        # in float32, some CPUs round a row differently at another place of the batch
        centered = (points - self.center).astype(np.float64)
        along = centered @ self.axes.T
        return np.asarray(
            np.maximum((centered * centered).sum(axis=1) - (along * along).sum(axis=1), 0),
            np.float32,
        )


def weight_of_activity(apart: float) -> float:
    """Return how much the activity counts, 0 to 1, after so many clean windows that do not overlap.

    The spread of log energies takes many windows to know; from FEWEST, nothing follows.
    """
    known = max(apart - FEWEST, 0.0)
    return known / (known + ENOUGH)


def _axes(centered: Values) -> Values:
    covariance = (centered.T @ centered).astype(np.float64) / len(centered)
    variances, directions = np.linalg.eigh(covariance)
    shares = np.cumsum(variances[::-1]) / max(variances.sum(), 1e-30)
    count = min(int(np.searchsorted(shares, KEPT)) + 1, len(variances), max(1, len(centered) - 1))
    return np.ascontiguousarray(directions[:, ::-1][:, :count].T.astype(np.float32))
