"""Fit a scorer of windows on clean rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aemodel.series.levels import EntityLevels, LevelMoments
from aemodel.series.model import SeriesModel
from aemodel.series.windows.features import Whitening, Windows
from aemodel.series.windows.parts import CleanWindows, weight_of_activity
from aemodel.series.windows.points import hold_gaps
from aemodel.series.windows.pyramid import Pyramid, Values
from aemodel.series.windows.scorer import WindowScorer

REFERENCE_WINDOWS = 512
STARTS = 4  # windows are taken that often per block


@dataclass(frozen=True)
class ScorerFit:
    """How scorers are fitted."""

    pyramid: Pyramid
    stride: int
    seed: int

    def scorer(self, pieces: Sequence[Values], scale: NDArray[np.float64]) -> WindowScorer:
        """Fit on pieces (n, d) of scaled rows; those shorter than a window go."""
        whole = [piece for piece in pieces if len(piece) >= self.pyramid.window]
        whitening = Whitening.fit(self.pyramid, whole)
        found = [whitening.windows(part) for piece in whole for part in self._shifted(piece)]
        clean = Windows(*(np.concatenate(each) for each in zip(*found, strict=True)))
        reference = CleanWindows.fit(clean, most=REFERENCE_WINDOWS, seed=self.seed)
        return WindowScorer(whitening, reference, scale, self.stride)

    def on_warmup(
        self, rows: NDArray[np.generic], scale: NDArray[np.float64]
    ) -> tuple[EntityLevels, WindowScorer]:
        """Fit level, spread, and scorer on the first rows (n, d) of a night."""
        moments = LevelMoments.around(rows, 1)
        moments.add(rows, 0)
        levels = EntityLevels.of(("",), moments)
        scaled = levels.scale(rows, 0)
        weight = weight_of_activity(len(rows) / self.pyramid.window)
        own = np.append(scale[:-1], min(weight, scale[-1]))
        return levels, self.scorer([hold_gaps(scaled, len(scaled))], own)

    def _shifted(self, piece: Values) -> Iterator[Values]:
        """Yield a piece STARTS times, begun later each time, as far as it holds a window."""
        hop = self.pyramid.hop
        for start in range(0, hop, max(1, hop // STARTS)):
            if len(piece) - start >= self.pyramid.window:
                yield piece[start:]


def fit_on_warmup(model: SeriesModel, rows: NDArray[np.generic]) -> SeriesModel:
    """Return the model with level, spread, and scorer of the first rows (n, d) of an entity."""
    fit = ScorerFit(model.scorer.whitening.pyramid, model.scorer.stride, seed=0)
    levels, scorer = fit.on_warmup(rows, model.scorer.scale)
    return replace(model, levels=levels, scorer=scorer)
