"""What was expected of sensors: what the other sensors imply, at every time scale."""

from __future__ import annotations

import numpy as np

from aemodel.series.causes.clean_moves import CleanMoves, Indices, Matrix
from aemodel.series.windows.features import N_COARSE
from aemodel.series.windows.pyramid import PARTS, Values


def expected_rows(moves: CleanMoves, rows: Values, *, suspects: Indices) -> Matrix:
    """Return the values (n, d) that clean windows lead one to expect of scaled rows (n, d).

    Each sensor is predicted from the others without the suspects, by linear regression at each
    time scale. A sensor without others is expected at its clean mean.
    """
    window = moves.pyramid.window
    padded = np.pad(rows, ((0, -len(rows) % window), (0, 0)), mode="edge")
    expected = [
        found @ _regression(moves.ridged[scale], suspects)
        for scale, found in enumerate(moves.coefficients(padded))
    ]
    coarse = [each[::PARTS] for each in expected[-N_COARSE:]]
    level = coarse[-1] + moves.mean
    for detail in reversed(coarse[:-1]):
        level = _finer(level, detail)
    level = level.reshape(-1, 1, rows.shape[1])
    for detail in reversed(expected[:-N_COARSE]):
        level = _finer(level, detail)
    return level.reshape(-1, rows.shape[1])[: len(rows)]


def _finer(level: Matrix, detail: Matrix) -> Matrix:
    """Undo one step of the Haar pyramid; both are (k, positions, d)."""
    if detail.shape[1] != level.shape[1]:  # an odd number of values, each beside their mean
        return level + detail
    pairs = np.stack([level - detail, level + detail], axis=2)
    return pairs.reshape(len(level), -1, level.shape[2])


def _regression(covariance: Matrix, suspects: Indices) -> Matrix:
    """Return the matrix (d, d) that takes values of all sensors to the expected ones."""
    d = len(covariance)
    others = np.setdiff1d(np.arange(d), suspects)
    found = np.zeros((d, d))
    if not len(others):
        return found
    precision = np.linalg.inv(covariance[np.ix_(others, others)])
    own = -precision / np.diag(precision)
    np.fill_diagonal(own, 0)
    found[np.ix_(others, others)] = own
    found[np.ix_(others, suspects)] = precision @ covariance[np.ix_(others, suspects)]
    return found
