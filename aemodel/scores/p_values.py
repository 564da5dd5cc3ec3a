"""Conformal p-values: how rare a score is among calibration rows, which neither the fit nor any choice has seen.

p(s) = (1 + #{calibration >= s}) / (n + 1)          Bates, Candès, Lei, Romano & Sesia, Annals of Statistics 2023
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ranks(calibration: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many of the ascending `calibration` (n,) are at least as high as each of `scores` (m,).

    (m,), from 0 to n.
    """
    return len(calibration) - np.searchsorted(calibration, scores, side="left")


def p_values(calibration: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Conformal p-values (m,) of `scores` against the ascending `calibration`: from 1/(n+1) to 1.

    >>> p_values(np.array([0.1, 0.2, 0.3]), np.array([0.25, 0.9]))
    array([0.5 , 0.25])
    """
    return np.asarray((1 + ranks(calibration, scores)) / (len(calibration) + 1))
