"""How sensors move together in clean windows, at every time scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.series.windows.features import N_COARSE, RIDGE, TINY, Whitening
from aemodel.series.windows.pyramid import PARTS, Pyramid, Values, coarse_details

Matrix = NDArray[np.float64]
Indices = NDArray[np.intp]
SMALL_RIDGE = 0.002  # of the mean variance
LEAST = 1e-9  # energy, so that logarithms and ratios are finite


@dataclass(frozen=True)
class CleanMoves:
    """Covariances of the coefficients of clean windows, from fine to coarse scales.

    ridged (s, d, d): with the ridge that whitening adds. energies (s, d): of each sensor alone.
    """

    pyramid: Pyramid
    mean: Matrix
    ridged: Matrix
    energies: Matrix

    @classmethod
    def of(cls, whitening: Whitening) -> CleanMoves:
        """Recover the covariances from whitening matrices, which are their inverse roots."""
        inverse = np.linalg.inv(whitening.matrices.astype(np.float64))
        ridged = inverse @ inverse
        variances = np.diagonal(ridged, axis1=1, axis2=2)
        mean = (variances.mean(axis=1, keepdims=True) - TINY) / (1 + RIDGE)
        energies = np.maximum(variances - RIDGE * mean - TINY, LEAST)
        return cls(whitening.pyramid, whitening.mean.astype(np.float64), ridged, energies)

    @property
    def clean(self) -> Matrix:
        """Covariances (s, d, d) without the ridge."""
        found = self.ridged.copy()
        index = np.arange(found.shape[1])
        found[:, index, index] = self.energies
        return found

    def precisions(self, sensors: Indices) -> Matrix:
        """Return inverse covariances (s, k, k) of k sensors, with a small ridge.

        With the ridge of whitening, a shift of one sensor may stand out more in another one.
        """
        clean = self.clean[:, sensors[:, None], sensors]
        ridge = SMALL_RIDGE * self.energies.mean(axis=1) + TINY
        return np.asarray(np.linalg.inv(clean + ridge[:, None, None] * np.eye(len(sensors))))

    def coefficients(self, rows: Values) -> list[Matrix]:
        """Return the coefficients (k, positions, d) of every scale of rows (n, d), n >= window.

        Fine scales have one k per block, coarse ones one per window, which overlap.
        """
        blocks = self.pyramid.blocks(rows)
        coarse = list(coarse_details(blocks.means))
        found = [each.astype(np.float64) for each in (*blocks.details, *coarse)]
        found[-1] -= self.mean
        return found

    def counts(self, coefficients: list[Matrix]) -> Matrix:
        """Return how many coefficients (s,) of each scale do not overlap."""
        sizes = np.array([each.shape[0] * each.shape[1] for each in coefficients], float)
        sizes[-N_COARSE:] = np.maximum(sizes[-N_COARSE:] / PARTS, 1)
        return sizes
