"""Has the ordinary night changed?

Compared below the 90 % calibration quantile, where outliers have no say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from aemodel.decisions.ranking import Tally

BULK = 0.9  # quantile of the calibration scores below which rows are the bulk
FEWEST_ROWS = 50
# of a night: where fewer rows lie in the bulk, the night has moved out of it, and all of it is
# compared
LEAST_BULK = 0.1
CHANCE = 1e-3
LEAST_DISTANCE = 0.05  # Kolmogorov-Smirnov
CELLS = 20  # of equal calibration counts
LEAST_MOVED = 0.015  # share of rows that would have to change cells
CLIP = 4.0  # standard deviations beyond which a value says no more about the bulk
MOST_NAMED = 5


@dataclass(frozen=True)
class Drift:
    """How far the bulk of tonight's scores lies from that of the calibration scores.

    distance: Kolmogorov-Smirnov; moved: total variation over cells; chance: the smaller p-value of
    the two tests, times two.
    """

    distance: float
    moved: float
    chance: float

    @property
    def alarm(self) -> bool:
        """Whether the night is of another kind than the calibration rows."""
        return self.chance < CHANCE and (
            self.distance >= LEAST_DISTANCE or self.moved >= LEAST_MOVED
        )

    def to_text(self) -> str:
        """One sentence."""
        return f"the bulk of the scores has moved: Kolmogorov-Smirnov distance {self.distance:.3f}, {self.moved:.1%} of rows in other places"


def find_drift(calibration: NDArray[np.float64], tally: Tally) -> Drift | None:
    """Compare a night's counts with the ascending calibration scores (n,);

    None where either bulk has too few rows to tell.
    """
    bulk = int(BULK * len(calibration))
    tonight, clean = (
        each.by_rank[::-1].astype(np.float64)
        for each in (tally, Tally.of(calibration, calibration))
    )
    if tonight[:bulk].sum() >= LEAST_BULK * tally.rows:
        tonight, clean = tonight[:bulk], clean[:bulk]
    if min(tonight.sum(), clean.sum()) < FEWEST_ROWS:
        return None
    return _compare(tonight, clean)


def _compare(tonight: NDArray[np.float64], clean: NDArray[np.float64]) -> Drift:
    from scipy.stats import chi2, kstwobign  # late: takes long to import

    m, n = tonight.sum(), clean.sum()
    distance = float(np.abs(np.cumsum(tonight) / m - np.cumsum(clean) / n).max())
    by_distance = float(kstwobign.sf(distance * np.sqrt(m * n / (m + n))))
    cells = np.linspace(0, len(clean), CELLS + 1).astype(np.intp)[:-1]
    here, there = np.add.reduceat(tonight, cells), np.add.reduceat(clean, cells)
    statistic = float(
        ((here * np.sqrt(n / m) - there * np.sqrt(m / n)) ** 2 / np.maximum(here + there, 1)).sum()
    )
    by_cells = float(chi2.sf(statistic, CELLS - 1))
    return Drift(
        distance,
        float(np.abs(here / m - there / n).sum() / 2),
        min(1.0, 2 * min(by_distance, by_cells)),
    )


@dataclass(frozen=True)
class FeatureTally:
    """Sums over rows of each feature, in standard deviations from the clean mean, clipped.

    Count, total, squares (d,) float64.
    """

    count: NDArray[np.float64]
    total: NDArray[np.float64]
    squares: NDArray[np.float64]

    @classmethod
    def of(
        cls, scaled: NDArray[np.float32], mean: NDArray[np.float64], deviation: NDArray[np.float64]
    ) -> Self:
        """Of scaled rows (n, d), NaN where nothing was observed.

        Mean, deviation (d,): of clean rows.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.clip((scaled - mean) / deviation, -CLIP, CLIP)
        seen = ~np.isnan(values)
        values = np.where(seen, values, 0.0)
        return cls(seen.sum(axis=0).astype(np.float64), values.sum(axis=0), (values**2).sum(axis=0))

    def merge(self, other: FeatureTally) -> FeatureTally:
        """The sums of both."""
        return FeatureTally(
            self.count + other.count, self.total + other.total, self.squares + other.squares
        )

    def moved(self) -> list[tuple[int, float, float]]:
        """The features that moved most.

        (index, mean, deviation tonight), both in clean standard deviations.
        """
        known = np.maximum(self.count, 1)
        mean = self.total / known
        deviation = np.sqrt(np.maximum(self.squares / known - mean**2, 0))
        change = np.where(self.count > 0, np.maximum(np.abs(mean), np.abs(deviation - 1)), 0.0)
        return [
            (int(each), float(mean[each]), float(deviation[each]))
            for each in np.argsort(-change, kind="stable")[:MOST_NAMED]
        ]
