"""Find suspect calibration rows.

Outliers among the calibration rows make every p-value too large, so the rule flags too few rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TAIL = 0.1  # share of the calibration scores, the highest, whose spacings are tested
# Largest share of suspect rows. A larger group is a second kind of row, not contamination.
MAX_SHARE = 0.02
MIN_ROWS = 100
FALSE_ALARM = 1e-3  # probability that clean rows are reported as suspect


def count_suspects(calibration: NDArray[np.float64]) -> int:
    """Count the highest calibration scores that lie above an unusually wide gap.

    Where the tail falls no slower than a power law, the spacings
    j (log s_(j) - log s_(j+1)) of the j-th and next largest scores are no larger than
    independent exponential variables (Rényi 1953). Their mean is estimated below the largest
    MAX_SHARE of the scores. Infinite scores are always suspect.

    calibration: (n,) float64, ascending.
    """
    n = len(calibration)
    scores = calibration[np.isfinite(calibration) & (calibration > 0)]
    if n < MIN_ROWS or len(scores) < n * (1 - MAX_SHARE):
        return int((~np.isfinite(calibration)).sum())
    infinite = n - int((calibration <= scores[-1]).sum())
    return infinite + _count_above_gap(scores, n)


def _count_above_gap(scores: NDArray[np.float64], n: int) -> int:
    """Count the positive, finite scores above the lowest wide gap; `n` calibration rows in all."""
    candidates = int(MAX_SHARE * n)
    highest = np.log(scores[::-1][: int(TAIL * n) + 1])
    spacings = np.arange(1, len(highest)) * -np.diff(highest)
    usual = float(spacings[candidates:].mean())
    if usual <= 0:
        return 0
    wide = np.flatnonzero(spacings[:candidates] > -usual * np.log(FALSE_ALARM / candidates))
    return int(wide[-1]) + 1 if len(wide) else 0


def contamination_warning(calibration: NDArray[np.float64]) -> str:
    """Describe suspect calibration rows; '' if there are none."""
    found = count_suspects(calibration)
    if not found:
        return ""
    rows = "calibration row scores" if found == 1 else "calibration rows score"
    return (
        f"{found:,} suspect {rows} far above all others: "
        "clean data may contain outliers, and the rule may then flag too few rows"
    )
