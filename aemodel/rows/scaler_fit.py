"""The fit of a scaler to clean rows, see `aemodel.rows.scaling`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aemodel.rows.entities.fit import EntityMoments
from aemodel.rows.entities.scales import Entities
from aemodel.rows.far_values import Fences, find_fences, without_far_values
from aemodel.rows.hashes import row_hashes
from aemodel.rows.layout import CATEGORY, ENTITY, NUMBER, PERIODS, Layout
from aemodel.rows.levels import LevelCounts
from aemodel.rows.moments import Moments, round_digits
from aemodel.rows.quantiles import WHOLE, column_quantiles, rounding_steps
from aemodel.rows.scaling import NARROW, Scaler

SAMPLE_ROWS = 10_000
SAMPLE_BYTES = 64_000_000
MOST_DONORS = 1_000  # rows whose values networks see in place of gaps
DONOR_VALUES = 1_000_000
BLOCK_VALUES = 1_048_576  # values processed together: 8 MiB of float64
# A column whose range is at most this many rounding steps of its dtype counts as constant.
CONSTANT = 8
_IQR_OF_NORMAL = 1.3489795  # interquartile range of a normal distribution with sd 1
# Means are rounded to this fraction of the scale, so that they do not depend on the chunks.
_GRID = 2.0**-20

BY_COLUMN = ("minmax", "standard", "robust")

CenterScale = tuple[NDArray[np.float64], NDArray[np.float64]]


class ScalerFit:
    """Fits a scaler chunk by chunk.

    Merging two fits gives the same scaler as one fit on the rows of both.
    """

    def __init__(self, kind: str, layout: Layout) -> None:
        self.kind, self.dtype, self.layout = kind, np.dtype(layout.dtype), layout
        n_features = layout.n_features
        self._level_counts = LevelCounts(layout.of_kind(CATEGORY))
        column = layout.entity
        self._by_entity = None if column is None else EntityMoments(column, n_features)
        self.moments = Moments.empty(n_features)
        self.fences = Fences.none(n_features)
        self._rounded: dict[int, str] = {}
        self._n_rows = 0
        self._hashes = np.empty(0, np.uint64)
        self._sample = np.empty((0, n_features), self.dtype)
        row_bytes = max(1, n_features * self.dtype.itemsize)
        self._capacity = max(1, min(SAMPLE_ROWS, SAMPLE_BYTES // row_bytes))

    def update(self, rows: NDArray[np.generic], hashes: NDArray[np.uint64] | None = None) -> None:
        """Add rows (n, *row_shape), with their hashes (n,) if already known."""
        n_features = len(self.moments.mean)
        flat = rows.reshape(len(rows), n_features)
        self._n_rows += len(rows)
        step = max(1, BLOCK_VALUES // n_features)
        for start in range(0, len(flat), step):
            self.moments = self.moments.merge(Moments.of(flat[start : start + step]))
            if self._by_entity is not None:
                self._by_entity.update(flat[start : start + step])
        self._level_counts.update(flat)
        if len(flat) and self._needs_medians():
            self._keep(row_hashes(rows) if hashes is None else hashes, flat)

    def merge(self, other: ScalerFit) -> None:
        """Add all rows of another fit."""
        self.moments = self.moments.merge(other.moments)
        self._n_rows += other._n_rows
        if self._by_entity is not None and other._by_entity is not None:
            self._by_entity.merge(other._by_entity)
        self._keep(other._hashes, other._sample)

    def finish(self) -> Scaler:
        """Build the scaler; afterwards `fences` and `moments` leave out far values.

        Only once, since entities change the units of both.
        """
        sample = self._sample
        if self.kind in BY_COLUMN:
            self.fences = self._fences()
            known = without_far_values(self.moments, self._sample, self.fences)
            self.moments, self._sample = known
        self._rounded = self._rounded_as_read()
        entities = self._fit_entities() if self._by_entity is not None else None
        constant = ~self._varies() & (self.moments.count > 0)
        center, scale = self._center_scale()
        scale = np.where(~constant & (scale > 0) & np.isfinite(scale), scale, 1.0)
        center = np.where(constant, self._low_high()[0], center)
        if self.dtype.name in NARROW:  # such rows are scaled in float32, and restored likewise
            center, scale = round_digits(center), round_digits(scale)
        fill = np.nan_to_num((self._median() - center) / scale, nan=0.0, posinf=0.0, neginf=0.0)
        tolerance = np.where(constant, self._rounding(*self._low_high()), np.nan)
        complete = self.moments.count == self._n_rows
        scaler = Scaler(center, scale, fill.astype(np.float32), tolerance, complete)
        if self.layout.kinds:
            scaler = replace(self._of_kinds(scaler), entities=entities)
        return replace(scaler, donors=self._donors(sample, scaler))

    def _donors(self, sample: NDArray[np.generic], scaler: Scaler) -> NDArray[np.float32]:
        """Scale rows (m, d) of the sample without their far values; none if columns need none."""
        others = self.layout.of_kind(CATEGORY, ENTITY)
        gappy = set(np.flatnonzero(~scaler.complete & ~scaler.constant)) - set(others)
        most = min(MOST_DONORS, DONOR_VALUES // max(1, sample.shape[1])) if gappy else 0
        donors = scaler.transform(sample[:most])
        donors[self.fences.outside(sample[:most])] = np.nan
        donors[:, scaler.constant] = 0.0
        return donors

    def scaled_range(self, scaler: Scaler) -> tuple[float, float]:
        """Return the range of the numbers in fit rows in scaled units, always including 0."""
        known = self.moments.count > 0
        if self.layout.kinds:
            known &= self._is_number()
        with np.errstate(over="ignore"):
            low = (self.moments.low - scaler.center) / scaler.scale
            high = (self.moments.high - scaler.center) / scaler.scale
        return float(low[known].min(initial=0.0)), float(high[known].max(initial=0.0))

    def imprecise(self, scaler: Scaler) -> dict[int, str]:
        """Why numbers lose the differences between their fit rows, by column.

        They are lost in float64, or between the quartiles of scaled values in float32.
        """
        quartiles = self._quantiles(0.25, 0.75)
        low, high = (quartiles - scaler.center) / scaler.scale
        step = np.finfo(np.float32).eps * np.fmax(np.abs(low), np.abs(high)).clip(1.0)
        lost = (quartiles[1] > quartiles[0]) & (high - low <= step)
        lost &= ~scaler.constant & self._is_number()
        why = "most values are the same in float32, beside the size or range of all: rescale it"
        return {**dict.fromkeys(np.flatnonzero(lost).tolist(), why), **self._rounded}

    def _rounded_as_read(self) -> dict[int, str]:
        """Numbers with several values that are one but for rounding, by column.

        A single value counts where it may be a rounded whole number, and so do whole numbers that
        differ by few steps of rounding.
        """
        low, high = self._low_high()
        size, known = np.maximum(np.abs(low), np.abs(high)), self.moments.count > 0
        dtype = self.dtype if self.dtype.kind == "f" else np.dtype(np.float64)
        same = high - low <= CONSTANT * np.finfo(dtype).eps * size
        lost = known & same & ((high > low) | (size >= WHOLE)) & self._is_number()
        first, third = self._quantiles(0.25, 0.75)
        found = {
            index: f"rounded to multiples of {step:g} near {size[index]:.4g}: subtract an offset"
            for index, step in rounding_steps(first, third, known & self._is_number()).items()
        }
        return found | {
            index: f"equal up to the rounding of {dtype} near {size[index]:.4g}: "
            "subtract an offset if they differ"
            for index in np.flatnonzero(lost).tolist()
        }

    def _fit_entities(self) -> Entities:
        """Fit level and spread of each entity; moments and sample are in units of them then."""
        assert self._by_entity is not None
        found, numbers = self._by_entity, self._is_number()
        found = found.without_far_values(self._sample, self.fences)
        entities = found.finish(numbers, self._eps)
        constant = numbers & found.constant(self._eps)
        self.moments = found.standardized(entities, constant)
        self._sample = entities.standardize(self._sample)
        return entities

    def _fences(self) -> Fences:
        """Limits of the numbers; hours, weekdays and categories have none."""
        found = find_fences(self._sample)
        others = list(self.layout.of_kind(CATEGORY, ENTITY, *PERIODS))
        found.low[others], found.high[others] = -np.inf, np.inf
        return found

    def _of_kinds(self, scaler: Scaler) -> Scaler:
        """Scale hours and weekdays by their period, and add the levels of categories."""
        center, scale, tolerance = scaler.center, scaler.scale, scaler.tolerance
        for index in self.layout.of_kind(CATEGORY, ENTITY, *PERIODS):
            center[index], tolerance[index] = 0.0, np.nan
            scale[index] = PERIODS.get(self.layout.kinds[index], 1.0)
        fill = np.where(self._is_number(), scaler.fill, (self._median() - center) / scale)
        fill[list(self.layout.of_kind(ENTITY))] = 0.0
        complete = scaler.complete | np.isin(self.layout.kinds, CATEGORY)
        complete &= ~np.isin(self.layout.kinds, ENTITY)
        if self._by_entity is not None:  # constants are 0 in units of their entity
            tolerance = np.where(np.isnan(tolerance), np.nan, self._eps)
        levels = self._level_counts.finish(self.layout.max_levels)
        return Scaler(center, scale, fill.astype(np.float32), tolerance, complete, levels=levels)

    def _is_number(self) -> NDArray[np.bool_]:
        kinds = self.layout.kinds
        return np.isin(kinds, NUMBER) if kinds else np.ones(self.layout.n_features, np.bool_)

    def _needs_medians(self) -> bool:
        """Whether a sample serves to scale, to find far values, or to fill NaN."""
        return self.kind in BY_COLUMN or self.dtype.kind == "f"

    def _keep(self, hashes: NDArray[np.uint64], flat: NDArray[np.generic]) -> None:
        """Keep the rows with the smallest hashes.

        They are a random sample that does not depend on the chunks or their order.
        """
        if len(self._hashes) == self._capacity:
            near = hashes <= self._hashes[-1]
            hashes, flat = hashes[near], flat[near]
        hashes = np.concatenate([self._hashes, hashes])
        sample = np.concatenate([self._sample, flat])
        smallest = np.argsort(hashes, kind="stable")[: self._capacity]
        self._hashes, self._sample = hashes[smallest], sample[smallest]

    def _varies(self) -> NDArray[np.bool_]:
        """Mark the columns (d,) that are not constant; all or none where they share one range."""
        if self.kind == "none" or self._is_bytes_range():
            return np.ones(len(self.moments.mean), np.bool_)
        low, high = self._low_high()
        if self.kind == "range":
            least, most = self._whole_range()
            low, high = np.full_like(low, least), np.full_like(high, most)
        return np.asarray(high - low > self._rounding(low, high))

    def _rounding(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rounding (d,) of values from low to high (d,); 0 for integers."""
        return np.asarray(self._eps * np.maximum(np.abs(low), np.abs(high)))

    @property
    def _eps(self) -> float:
        """Rounding relative to a value; 0 for integers."""
        return CONSTANT * float(np.finfo(self.dtype).eps) if self.dtype.kind == "f" else 0.0

    def _is_bytes_range(self) -> bool:
        """Whether the range is 0 to 255, whatever the values."""
        return self.kind == "range" and self.dtype == np.uint8

    def _low_high(self) -> CenterScale:
        """Minimum and maximum of each column, 0 for an empty column."""
        known = self.moments.count > 0
        low, high = self.moments.low, self.moments.high
        return np.where(known, low, 0.0), np.where(known, high, 0.0)

    def _median(self) -> NDArray[np.float64]:
        return np.asarray(self._quantiles(0.5)[0])

    def _quantiles(self, *shares: float) -> NDArray[np.float64]:
        """Column quantiles (k, d) of the sample, ignoring NaN; the mean if it is empty."""
        if not len(self._sample):
            return np.stack([self.moments.mean] * len(shares))
        values = self._sample.astype(np.float64)
        empty = np.isnan(values).all(axis=0)
        values[:, empty] = self.moments.mean[empty]
        return column_quantiles(values, shares)

    def _center_scale(self) -> CenterScale:
        fits = {
            "none": self._none,
            "range": self._range,
            "minmax": self._minmax,
            "standard": self._standard,
            "robust": self._robust,
        }
        return fits[self.kind]()

    def _none(self) -> CenterScale:
        return np.zeros_like(self.moments.mean), np.ones_like(self.moments.mean)

    def _range(self) -> CenterScale:
        """One range for all columns."""
        low, high = (0.0, 255.0) if self._is_bytes_range() else self._whole_range()
        return np.full_like(self.moments.mean, low), np.full_like(self.moments.mean, high - low)

    def _whole_range(self) -> tuple[float, float]:
        """Minimum and maximum of all numbers; the keys of levels are none."""
        known = (self.moments.count > 0) & self._is_number()
        if not known.any():
            return 0.0, 0.0
        return float(self.moments.low[known].min()), float(self.moments.high[known].max())

    def _minmax(self) -> CenterScale:
        low, high = self._low_high()
        return low, high - low

    def _standard(self) -> CenterScale:
        """Mean and standard deviation; for a constant column, its value and 0."""
        spread = self.moments.deviation()
        grid = np.where(spread > 0, spread, 1.0) * _GRID
        with np.errstate(over="ignore"):
            steps = np.rint(self.moments.mean / grid)
        mean = np.where(np.isfinite(steps), steps * grid, self.moments.mean)
        return np.where(self._varies(), mean, self._low_high()[0]), spread

    def _robust(self) -> CenterScale:
        """Median and interquartile range, scaled to the standard deviation of a normal.

        The standard deviation where the interquartile range is 0.
        """
        low, high = self._quantiles(0.25, 0.75)
        spread = (high - low) / _IQR_OF_NORMAL
        return self._median(), np.where(spread > 0, spread, self._standard()[1])
