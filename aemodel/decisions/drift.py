"""Detect drift: whether the bulk of tonight's scores differs from the calibration scores.

Only scores below the 90 % calibration quantile are compared, so outliers have no influence. Where
clean rows come in blocks (files, days), a night must also differ by more than these do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aemodel.decisions.block_scores import BlockScores
from aemodel.decisions.ranking import Tally

BULK = 0.9  # quantile of the calibration scores below which rows are the bulk
MIN_ROWS = 20
# If a smaller share of a night lies in the bulk, the night has moved out of it: compare all rows.
MIN_BULK_SHARE = 0.1
SIGNIFICANCE = 1e-3
MIN_DISTANCE = 0.05  # Kolmogorov-Smirnov
CELLS = 20  # with equal calibration counts, fewer where these would be below FEWEST_IN_CELL
# twice what Cochran (1954) asks for: calibration rows that are neighbors depend on each other
FEWEST_IN_CELL = 10
MIN_MOVED = 0.015  # share of rows that would have to change cells


@dataclass(frozen=True)
class Drift:
    """How far the bulk of tonight's scores lies from the bulk of the calibration scores.

    distance: Kolmogorov-Smirnov distance.
    moved: total variation distance over cells.
    chance: the smaller p-value of the two tests, times two.
    blocks: number of clean blocks that the night is compared with, 0 if they are too few.
    kind: what the blocks are, in the plural, as in "days".
    beyond: distance from their mean, above 1 if no clean block is expected there.
    """

    distance: float
    moved: float
    chance: float
    blocks: int = 0
    kind: str = "blocks"
    beyond: float = 0.0

    @property
    def alarm(self) -> bool:
        """Whether the night differs from the calibration rows, significantly and noticeably.

        With blocks, also by more than clean blocks differ from each other.
        """
        large = self.distance >= MIN_DISTANCE or self.moved >= MIN_MOVED
        unlike_blocks = not self.blocks or self.beyond > 1
        return self.chance < SIGNIFICANCE and large and unlike_blocks

    def to_text(self) -> str:
        """One sentence."""
        than_blocks = f", more than {self.blocks} clean {self.kind} differ" if self.blocks else ""
        return (
            "the bulk of the scores has moved: "
            f"Kolmogorov-Smirnov distance {self.distance:.3f}, "
            f"{self.moved:.1%} of rows changed bins{than_blocks}"
        )


def find_drift(
    calibration: NDArray[np.float64], tally: Tally, blocks: BlockScores | None = None
) -> Drift | None:
    """Compare a night's counts with the calibration scores (n,), ascending, and clean blocks.

    None if either bulk has too few rows, or if a single block was held out.
    """
    if blocks and blocks.held_out and not blocks.can_compare:
        return None
    bulk = int(BULK * len(calibration))
    tonight = _ascending_counts(tally)
    clean = _ascending_counts(Tally.of(calibration, calibration))
    if tonight[:bulk].sum() >= MIN_BULK_SHARE * tally.rows:
        tonight, clean = tonight[:bulk], clean[:bulk]
    if min(tonight.sum(), clean.sum()) < MIN_ROWS:
        return None
    found = _compare(tonight, clean)
    if not blocks or not blocks.can_compare:
        return found
    beyond = blocks.beyond(calibration, tally)
    return replace(found, blocks=len(blocks.rows), kind=blocks.kind, beyond=beyond)


def _ascending_counts(tally: Tally) -> NDArray[np.float64]:
    """Counts (n + 1,) between consecutive calibration scores, lowest score first."""
    return tally.by_rank[::-1].astype(np.float64)


def _compare(tonight: NDArray[np.float64], clean: NDArray[np.float64]) -> Drift:
    distance, by_distance = _kolmogorov_smirnov(tonight, clean)
    count = max(2, min(CELLS, len(clean) // FEWEST_IN_CELL))
    cells = np.linspace(0, len(clean), count + 1).astype(np.intp)[:-1]
    moved, by_cells = _chi_squared(np.add.reduceat(tonight, cells), np.add.reduceat(clean, cells))
    return Drift(distance, moved, min(1.0, 2 * min(by_distance, by_cells)))


def _kolmogorov_smirnov(
    tonight: NDArray[np.float64], clean: NDArray[np.float64]
) -> tuple[float, float]:
    """Kolmogorov-Smirnov distance of two lists of counts, and its asymptotic p-value."""
    from scipy.special import kolmogorov  # late: takes long to import

    m, n = tonight.sum(), clean.sum()
    distance = float(np.abs(np.cumsum(tonight) / m - np.cumsum(clean) / n).max())
    return distance, float(kolmogorov(distance * np.sqrt(m * n / (m + n))))


def _chi_squared(tonight: NDArray[np.float64], clean: NDArray[np.float64]) -> tuple[float, float]:
    """Total variation distance of two lists of cell counts, and the chi-squared p-value."""
    from scipy.special import chdtrc  # late: takes long to import

    m, n = tonight.sum(), clean.sum()
    squares = (tonight * np.sqrt(n / m) - clean * np.sqrt(m / n)) ** 2
    statistic = float((squares / np.maximum(tonight + clean, 1)).sum())
    moved = float(np.abs(tonight / m - clean / n).sum() / 2)
    return moved, float(chdtrc(len(clean) - 1, statistic))
