"""Conformal p-values: how rare a score is among calibration rows.

    p(s) = (1 + #{calibration >= s}) / (n + 1)

Calibration rows serve no other purpose (Bates, Candès, Lei, Romano & Sesia, Annals of Statistics
2023).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ranks(calibration: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count the calibration scores that are at least as high as each of `scores` (m,).

    calibration: (n,), ascending. Return (m,), from 0 to n.
    """
    order = np.argsort(scores)  # a search for ascending scores takes a fifth of the time
    found = np.empty(len(scores), np.int64)
    found[order] = len(calibration) - np.searchsorted(calibration, scores[order], side="left")
    return found


def p_values(calibration: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute conformal p-values (m,) of `scores` (m,), from 1/(n + 1) to 1.

    calibration: (n,), ascending.

    >>> p_values(np.array([0.1, 0.2, 0.3]), np.array([0.25, 0.9]))
    array([0.5 , 0.25])
    """
    return p_values_of_ranks(ranks(calibration, scores), len(calibration))


def p_values_of_ranks(found: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Compute conformal p-values (m,) from ranks (m,) among n calibration scores."""
    return np.asarray((1 + found) / (n + 1))
