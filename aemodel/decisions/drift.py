"""Detect drift: whether the bulk of tonight's scores differs from the calibration scores.

Only scores below the 90 % calibration quantile are compared, so outliers have no influence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.decisions.ranking import Tally

BULK = 0.9  # quantile of the calibration scores below which rows are the bulk
MIN_ROWS = 50
# If a smaller share of a night lies in the bulk, the night has moved out of it: compare all rows.
MIN_BULK_SHARE = 0.1
SIGNIFICANCE = 1e-3
MIN_DISTANCE = 0.05  # Kolmogorov-Smirnov
CELLS = 20  # with equal calibration counts
MIN_MOVED = 0.015  # share of rows that would have to change cells


@dataclass(frozen=True)
class Drift:
    """How far the bulk of tonight's scores lies from the bulk of the calibration scores.

    distance: Kolmogorov-Smirnov distance.
    moved: total variation distance over cells.
    chance: the smaller p-value of the two tests, times two.
    """

    distance: float
    moved: float
    chance: float

    @property
    def alarm(self) -> bool:
        """Whether the night differs from the calibration rows, significantly and noticeably."""
        large = self.distance >= MIN_DISTANCE or self.moved >= MIN_MOVED
        return self.chance < SIGNIFICANCE and large

    def to_text(self) -> str:
        """One sentence."""
        return (
            "the bulk of the scores has moved: "
            f"Kolmogorov-Smirnov distance {self.distance:.3f}, "
            f"{self.moved:.1%} of rows changed bins"
        )


def find_drift(calibration: NDArray[np.float64], tally: Tally) -> Drift | None:
    """Compare a night's counts with the calibration scores (n,), ascending.

    None if either bulk has too few rows.
    """
    bulk = int(BULK * len(calibration))
    tonight = _ascending_counts(tally)
    clean = _ascending_counts(Tally.of(calibration, calibration))
    if tonight[:bulk].sum() >= MIN_BULK_SHARE * tally.rows:
        tonight, clean = tonight[:bulk], clean[:bulk]
    if min(tonight.sum(), clean.sum()) < MIN_ROWS:
        return None
    return _compare(tonight, clean)


def _ascending_counts(tally: Tally) -> NDArray[np.float64]:
    """Counts (n + 1,) between consecutive calibration scores, lowest score first."""
    return tally.by_rank[::-1].astype(np.float64)


def _compare(tonight: NDArray[np.float64], clean: NDArray[np.float64]) -> Drift:
    distance, by_distance = _kolmogorov_smirnov(tonight, clean)
    cells = np.linspace(0, len(clean), CELLS + 1).astype(np.intp)[:-1]
    moved, by_cells = _chi_squared(np.add.reduceat(tonight, cells), np.add.reduceat(clean, cells))
    return Drift(distance, moved, min(1.0, 2 * min(by_distance, by_cells)))


def _kolmogorov_smirnov(
    tonight: NDArray[np.float64], clean: NDArray[np.float64]
) -> tuple[float, float]:
    """Kolmogorov-Smirnov distance of two lists of counts, and its asymptotic p-value."""
    from scipy.stats import kstwobign  # late: takes long to import

    m, n = tonight.sum(), clean.sum()
    distance = float(np.abs(np.cumsum(tonight) / m - np.cumsum(clean) / n).max())
    return distance, float(kstwobign.sf(distance * np.sqrt(m * n / (m + n))))


def _chi_squared(tonight: NDArray[np.float64], clean: NDArray[np.float64]) -> tuple[float, float]:
    """Total variation distance of two lists of cell counts, and the chi-squared p-value."""
    from scipy.stats import chi2  # late: takes long to import

    m, n = tonight.sum(), clean.sum()
    squares = (tonight * np.sqrt(n / m) - clean * np.sqrt(m / n)) ** 2
    statistic = float((squares / np.maximum(tonight + clean, 1)).sum())
    moved = float(np.abs(tonight / m - clean / n).sum() / 2)
    return moved, float(chi2.sf(statistic, CELLS - 1))
