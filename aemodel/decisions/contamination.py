"""Are there strangers among the calibration rows?

They would make every p-value too large, and the night too quiet.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TAIL = 0.1  # of the calibration scores, the highest, whose spacings are looked at
# of the calibration rows that may be strangers: more are no strangers but a second kind of row
MOST = 0.02
FEWEST_ROWS = 100
CHANCE = 1e-3  # that clean rows raise the alarm


def strangers(calibration: NDArray[np.float64]) -> int:
    """How many of the highest calibration scores (n,) ascending stand apart from the others by a gap that clean rows hardly leave.

    Over a tail that falls off no slower than a power law, j (log s_(j) - log s_(j+1)), j-th and next largest, are no larger than independent
    exponentials (Renyi 1953); their mean is estimated below the largest MOST.
    """
    n = len(calibration)
    scores = calibration[np.isfinite(calibration) & (calibration > 0)]
    if n < FEWEST_ROWS or len(scores) < n * (1 - MOST):
        return int((~np.isfinite(calibration)).sum())
    beyond, most = n - int((calibration <= scores[-1]).sum()), int(MOST * n)
    highest = np.log(scores[::-1][: int(TAIL * n) + 1])
    spacings = np.arange(1, len(highest)) * -np.diff(highest)
    usual = float(spacings[most:].mean())
    apart = (
        np.flatnonzero(spacings[:most] > -usual * np.log(CHANCE / most))
        if most and usual > 0
        else np.empty(0, np.intp)
    )
    return beyond + (int(apart[-1]) + 1 if len(apart) else 0)


def warning(calibration: NDArray[np.float64]) -> str:
    """What there is to say of strangers among the calibration rows, '' where there are none."""
    found = strangers(calibration)
    if not found:
        return ""
    rows = "calibration row scores" if found == 1 else "calibration rows score"
    return f"{found:,} {rows} far above all others: clean data may hold outliers, and the rule then flags too little"
