"""What is compared of a window: its coefficients in units of what clean windows do at each scale.

At every scale the coefficients of all sensors are whitened together: their covariance over clean
windows, shrunk towards its diagonal's mean, becomes the identity, and each sensor keeps its name
(ZCA whitening). A sensor that moves against the others stands out even where its own range is
ordinary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from aemodel.series.windows.pyramid import PARTS, Pyramid, RowBlocks, Values, coarse_details

RIDGE = 0.05  # of the mean variance, added to every variance
TINY = 1e-6  # variance of a sensor that never moves
QUIET = 0.05  # energy below which a sensor counts as still
LEAST_ENERGY = 1e-5  # of a sensor by itself, in squared units of its spread
N_COARSE = 4  # scales above a block: 2, 4, 8 blocks, and the level of the window


class Windows(NamedTuple):
    """What windows are compared by.

    energies (k, s): mean square of whitened coefficients at each scale, 1 on average when clean.
    peaks (k, s): the largest square at any one position of each scale.
    points (k, p): coarse coefficients and, of the fine scales, log energies of each sensor; in
        these units each scale has the same weight.
    moves (k, m): log energies of each sensor by itself at each fine scale.
    """

    energies: NDArray[np.float64]
    peaks: NDArray[np.float64]
    points: Values
    moves: Values


@dataclass(frozen=True)
class Whitening:
    """Whitening matrices (s, d, d) of the scales from fine to coarse, and the level's mean (d,)."""

    pyramid: Pyramid
    mean: Values
    matrices: Values

    @classmethod
    def fit(cls, pyramid: Pyramid, pieces: Iterable[Values]) -> Whitening:
        """Fit on pieces (n, d) of clean rows, each at least one window long."""
        blocks = [pyramid.blocks(piece) for piece in pieces]
        whole = [each for each in blocks if len(each.means) >= PARTS]
        mean = np.concatenate([each.means for each in whole]).mean(axis=0)
        scales = pyramid.n_fine + N_COARSE
        sums: list[NDArray[np.float64]] = [np.zeros((len(mean), len(mean)))] * scales
        counts = np.zeros(scales)
        for each in whole:
            for scale, detail in enumerate(_details(each, mean)):
                flat = detail.reshape(-1, len(mean)).astype(np.float64)
                sums[scale] = sums[scale] + flat.T @ flat
                counts[scale] += len(flat)
        found = [_whitening(total / n) for total, n in zip(sums, counts, strict=True)]
        return cls(pyramid, mean, np.stack(found).astype(np.float32))

    def windows(self, rows: Values) -> Windows:
        """Return the windows of rows (n, d), one every `hop` rows from the first."""
        return self.of_blocks(self.pyramid.blocks(rows))

    def of_blocks(self, blocks: RowBlocks) -> Windows:
        """Return the windows (k = m - 7) over m blocks."""
        d, n_fine = len(self.mean), self.pyramid.n_fine
        energies, peaks, points, moves = [], [], [], []
        for scale, detail in enumerate(_details(blocks, self.mean)):
            white = detail @ self.matrices[scale]
            squares = white * white
            distances = squares.mean(axis=2)
            energy, peak = distances.mean(axis=1), distances.max(axis=1)
            if scale < n_fine:
                energies.append(_over_window(energy).mean(axis=1))
                peaks.append(_over_window(peak).max(axis=1))
                per_sensor = _over_window(squares.mean(axis=1)).mean(axis=2)
                points.append(np.log(per_sensor + np.float32(QUIET)) / np.sqrt(d))
                alone = _over_window((detail * detail).mean(axis=1)).mean(axis=2)
                moves.append(np.log(alone + np.float32(LEAST_ENERGY)))
            else:
                energies.append(energy)
                peaks.append(peak)
                positions = white.shape[1]
                points.append(white.reshape(len(white), -1) / np.sqrt(positions * d))
        return Windows(
            _columns(energies),
            _columns(peaks),
            np.concatenate(points, axis=1),
            np.concatenate(moves, axis=1),
        )


def _details(blocks: RowBlocks, mean: Values) -> list[Values]:
    """Return the coefficients of all scales; those of the last are levels less the mean."""
    coarse = list(coarse_details(blocks.means))
    return [*blocks.details, *coarse[:-1], coarse[-1] - mean]


def _whitening(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    d = len(covariance)
    shrunk = covariance + (RIDGE * np.trace(covariance) / d + TINY) * np.eye(d)
    variances, directions = np.linalg.eigh(shrunk)
    return np.asarray(directions / np.sqrt(variances) @ directions.T)


def _over_window(of_blocks: Values) -> Values:
    """View values (m, …) of blocks as windows (m - 7, …, PARTS)."""
    return sliding_window_view(of_blocks, PARTS, axis=0)


def _columns(found: Sequence[Values]) -> NDArray[np.float64]:
    return np.stack(found, axis=1).astype(np.float64)
