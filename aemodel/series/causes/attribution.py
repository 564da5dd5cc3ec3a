"""Which sensors make an event anomalous."""

from __future__ import annotations

import numpy as np

from aemodel.series.causes.clean_moves import LEAST, CleanMoves, Matrix
from aemodel.series.pyramid import Values


def sensor_shares(moves: CleanMoves, rows: Values) -> Matrix:
    """Return the share (d,) of each sensor in what is unusual about scaled rows (n, d).

    Compared are the energies of each sensor at each scale, by itself and given all the others,
    with those of clean windows: a sensor that moves too little stands out as one that moves too
    much. The value is the log-likelihood ratio of a changed variance.
    """
    coefficients = moves.coefficients(rows)
    counts = moves.counts(coefficients)
    total = np.zeros(len(moves.mean))
    for scale, found in enumerate(coefficients):
        precision = np.linalg.inv(moves.ridged[scale])
        given = (precision @ moves.clean[scale] * precision.T).sum(axis=1)
        alone = _changed((found**2).mean(axis=(0, 1)), moves.energies[scale])
        others = _changed(((found @ precision) ** 2).mean(axis=(0, 1)), given)
        total += counts[scale] * (alone + others)
    return np.asarray(total / max(total.sum(), LEAST))


def _changed(energy: Matrix, clean: Matrix) -> Matrix:
    """Return r - 1 - log r for the ratio r of energies (d,), which is 0 where they are equal."""
    ratio = np.maximum(energy / np.maximum(clean, LEAST), 1e-6)
    return np.asarray(ratio - 1 - np.log(ratio))
