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
    return len(calibration) - np.searchsorted(calibration, scores, side="left")


def p_values(calibration: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute conformal p-values (m,) of `scores` (m,), from 1/(n + 1) to 1.

    calibration: (n,), ascending.

    >>> p_values(np.array([0.1, 0.2, 0.3]), np.array([0.25, 0.9]))
    array([0.5 , 0.25])
    """
    return np.asarray((1 + ranks(calibration, scores)) / (len(calibration) + 1))
