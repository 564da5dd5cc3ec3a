"""Which sensors make an event anomalous."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aemodel.series.causes.clean_moves import LEAST, CleanMoves, Indices, Matrix
from aemodel.series.windows.pyramid import Values

MOST_SUSPECTS = 3
SUSPECT = 0.2  # of what is unusual about the worst sensor, from which another is one as well
STILL = 1e-5  # of the mean energy of sensors: with less, float32 does not tell moves from none


@dataclass(frozen=True)
class Unusual:
    """What is unusual about scaled rows (n, d), by sensor.

    Compared are the energies of each sensor at each scale, by itself and given all the others,
    with those of clean windows: a sensor that moves too little stands out as one that moves too
    much. The measure is the log-likelihood ratio of a changed variance.
    """

    moves: CleanMoves
    rows: Values

    def shares(self) -> Matrix:
        """Return the share (d,) of each sensor."""
        found = self.of(np.arange(self.rows.shape[1]))
        return np.asarray(found / max(found.sum(), LEAST))

    def of(self, sensors: Indices) -> Matrix:
        """Return what is unusual (k,) about k sensors, as if there were no others."""
        coefficients = self.moves.coefficients(self.rows)
        precisions = self.moves.precisions(sensors)
        counts = self.moves.counts(coefficients)
        total = np.zeros(len(sensors))
        for scale, every in enumerate(coefficients):
            found, precision = every[:, :, sensors], precisions[scale]
            clean = self.moves.clean[scale][np.ix_(sensors, sensors)]
            given = (precision @ clean * precision.T).sum(axis=1)
            energy = (found**2).mean(axis=(0, 1))
            alone = _changed(energy, np.diag(clean))
            others = _changed(((found @ precision) ** 2).mean(axis=(0, 1)), given)
            least = STILL * self.moves.energies[scale].mean()
            moving = np.maximum(energy, np.diag(clean)) > least  # now, or in clean windows
            total += np.where(moving, counts[scale] * (alone + others), 0.0)
        return total

    def suspects(self, worst: int) -> Indices:
        """Return the sensors that stand out, and still do without those that stand out more."""
        d = self.rows.shape[1]
        limit = SUSPECT * float(self.of(np.arange(d))[worst])
        found = [worst]
        while len(found) < min(MOST_SUSPECTS, d - 1):
            others = np.setdiff1d(np.arange(d), found)
            unusual = self.of(others)
            if unusual.max() <= limit:
                break
            found.append(int(others[unusual.argmax()]))
        return np.array(found, np.intp)


def _changed(energy: Matrix, clean: Matrix) -> Matrix:
    """Return r - 1 - log r for the ratio r of energies (d,), which is 0 where they are equal."""
    ratio = np.maximum(energy / np.maximum(clean, LEAST), 1e-6)
    return np.asarray(ratio - 1 - np.log(ratio))
