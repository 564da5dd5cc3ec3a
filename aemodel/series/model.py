"""A model of clean series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.series.calibration import Calibration
from aemodel.series.levels import EntityLevels
from aemodel.series.settings import WindowSettings
from aemodel.series.windows.points import hold_gaps
from aemodel.series.windows.pyramid import Values
from aemodel.series.windows.scorer import WindowScorer


@dataclass(frozen=True, kw_only=True)
class SeriesModel:
    """What `[series]` learns from clean rows.

    sensors: names of the columns that windows see. levels: of the entities, or the pool alone.
    band (2, d): the clean 1 and 99 % quantiles of each sensor in units of its spread.
    step: seconds between rows, or 1 where rows are counted; in_seconds: which of both. at_once: how
    many clean series ran at the same time, on average.
    """

    sensors: tuple[str, ...]
    settings: WindowSettings
    levels: EntityLevels
    scorer: WindowScorer
    band: NDArray[np.float64]
    calibration: Calibration
    step: float
    in_seconds: bool
    at_once: float

    def scaled(self, rows: NDArray[np.generic], entity: int) -> Values:
        """Return rows (n, d) of the entity in row `entity` of `levels`, scaled and without gaps."""
        return hold_gaps(self.levels.scale(rows, entity), self.scorer.window)
