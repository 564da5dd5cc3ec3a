"""Fit a model of windows on clean series, and calibrate_stretches it by rows that it has not seen.

The clean rows are cut into folds, each a run of consecutive rows. Each fold is scored by a scorer
that was fitted on the other folds; the model itself is fitted on all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aemodel.errors import DataError
from aemodel.series.calibration import Held, calibrate_stretches
from aemodel.series.fitting.clean import CleanSeries, iter_nights
from aemodel.series.fitting.fit_scorer import ScorerFit
from aemodel.series.levels import EntityLevels, LevelMoments
from aemodel.series.model import SeriesModel
from aemodel.series.settings import AUTO, SMALLEST, WindowSettings
from aemodel.series.windows.parts import N_PARTS, weight_of_activity
from aemodel.series.windows.points import hold_gaps
from aemodel.series.windows.pyramid import PARTS, Pyramid, Values
from aemodel.series.windows.scorer import WindowScorer

SAMPLE_VALUES = 4_000_000  # of clean rows kept in memory to fit on
FOLDS = 4
USUAL_WINDOW = 128  # rows
HELD_OUT = 0.999  # quantile of held-out windows by which the parts of the score are divided
BAND = (0.01, 0.99)


@dataclass(frozen=True)
class Scaled:
    """Consecutive scaled rows (n, d) of one segment; first: the row, counted over all pieces."""

    first: int
    rows: Values

    def within(self, start: int, stop: int) -> Values:
        """Return the rows from number `start` up to `stop`."""
        return self.rows[max(start - self.first, 0) : max(stop - self.first, 0)]


@dataclass(frozen=True)
class Folds:
    """Row numbers at which folds begin, and the number of all rows."""

    bounds: tuple[int, ...]

    @classmethod
    def of(cls, total: int, window: int) -> Folds:
        """Cut so many rows into folds of at least two windows, if there are as many."""
        count = int(np.clip(total // (2 * window), 2, FOLDS))
        return cls(tuple(total * number // count for number in range(count + 1)))

    def others(self, sample: Sequence[Scaled], fold: int) -> list[Values]:
        """Return the rows outside of a fold, as pieces."""
        start, stop, end = self.bounds[fold], self.bounds[fold + 1], self.bounds[-1]
        parts = [(piece.within(0, start), piece.within(stop, end)) for piece in sample]
        return [rows for pair in parts for rows in pair if len(rows)]

    def held(self, pieces: Iterator[Scaled] | Sequence[Scaled]) -> Iterator[tuple[int, Values]]:
        """Yield the rows of each piece by fold."""
        for piece in pieces:
            for fold in range(len(self.bounds) - 1):
                rows = piece.within(self.bounds[fold], self.bounds[fold + 1])
                if len(rows):
                    yield fold, rows


def fit_series(series: CleanSeries, settings: WindowSettings, *, seed: int = 0) -> SeriesModel:
    """Fit on clean series.

    Raises DataError if no piece is as long as two windows.
    """
    levels, lengths = _measure(series, entities=settings.baseline.kind == "entity")
    every = -(-sum(lengths) * len(series.sensors) // SAMPLE_VALUES)
    sample = [piece for number, piece in enumerate(_scaled(series, levels)) if number % every == 0]
    window = settings.window
    if window == AUTO:
        window = choose_window(max(lengths))
    _require_length(lengths, window)
    fit = ScorerFit(Pyramid(window), settings.stride or window // PARTS, seed)
    folds = Folds.of(sum(lengths), window)
    scale = _held_out_scale(fit, folds, sample)
    scorers = _scorers(fit, folds, sample, scale)
    whole = [piece.rows for piece in sample]
    if settings.baseline.rows:
        held = _held_nights(series, settings.baseline.rows, fit, scale)
    else:
        every_row = folds.held(_scaled(series, levels))
        held = (Held(scorers[fold], rows) for fold, rows in every_row)
    return SeriesModel(
        sensors=series.sensors,
        settings=replace(settings, window=window, stride=fit.stride),
        levels=levels,
        scorer=fit.scorer(whole, scale),
        band=np.nanquantile(np.concatenate(whole), BAND, axis=0),
        calibration=calibrate_stretches(held, total=sum(lengths)),
        step=series.step,
        in_seconds=series.in_seconds,
        at_once=series.at_once,
    )


def choose_window(longest: int) -> int:
    """Return the rows of a window: 128, or less where no piece is as long as three of them.

    A window sees all time scales below its own. Longer ones find fewer short anomalies, and are
    hardly better at long ones.
    """
    window = USUAL_WINDOW
    while window > SMALLEST and 3 * window > longest:
        window //= 2
    return window


def _measure(series: CleanSeries, *, entities: bool) -> tuple[EntityLevels, list[int]]:
    """Return the levels of entities, or of the pool, and the length of each piece."""
    moments: LevelMoments | None = None
    lengths = []
    for piece in series.read():
        if moments is None:
            moments = LevelMoments.around(piece.rows, len(series.names))
        moments.add(piece.rows, piece.entity)
        lengths.append(len(piece.rows))
    if moments is None:
        raise DataError("the clean series hold no rows")
    levels = EntityLevels.of(series.names, moments)
    return levels if entities else levels.pooled(), lengths


def _scaled(series: CleanSeries, levels: EntityLevels) -> Iterator[Scaled]:
    rows_of, first = levels.rows_of(series.names), 0
    for piece in series.read():
        scaled = levels.scale(piece.rows, int(rows_of[piece.entity]))
        yield Scaled(first, hold_gaps(scaled, len(scaled)))
        first += len(scaled)


def _require_length(lengths: Sequence[int], window: int) -> None:
    longest = max(lengths)
    if longest < 2 * window:
        raise DataError(
            f"no clean series is as long as two windows of {window} rows; the longest piece "
            f"without a pause has {longest:,}. Lower series.window, raise series.gap, or add "
            "clean rows."
        )


def _scorers(
    fit: ScorerFit, folds: Folds, sample: Sequence[Scaled], scale: NDArray[np.float64]
) -> list[WindowScorer]:
    """Fit one scorer for each fold, on the other folds."""
    count = len(folds.bounds) - 1
    return [fit.scorer(folds.others(sample, fold), scale) for fold in range(count)]


def _held_out_scale(fit: ScorerFit, folds: Folds, sample: Sequence[Scaled]) -> NDArray[np.float64]:
    """Return by what the parts of the score are divided, and how much the last one counts."""
    scorers, found = _scorers(fit, folds, sample, np.ones(N_PARTS + 1)), []
    for fold, rows in folds.held(sample):
        found.append(scorers[fold].parts(rows))
    parts = np.concatenate(found)
    held_out = np.quantile(parts, HELD_OUT, axis=0)
    weight = weight_of_activity(len(parts) / PARTS)
    return np.append(np.maximum(held_out, np.finfo(np.float32).tiny), weight)


def _held_nights(
    series: CleanSeries, warmup: int, fit: ScorerFit, scale: NDArray[np.float64]
) -> Iterator[Held]:
    """Judge clean series as nights are: by a scorer fitted on their first rows."""
    for night in iter_nights(series, warmup):
        levels, scorer = fit.on_warmup(night.rows[:warmup], scale)
        rows = levels.scale(night.rows[warmup:], 0)
        yield Held(scorer, hold_gaps(rows, len(rows)))
