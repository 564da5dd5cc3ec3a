"""Scalers: data units to the scaled units in which the network works and errors are measured.

    scaled = (x - center) / scale

A column that is constant in the fit rows has scale 1, so it becomes 0 and a later move shows in its
own units, never as 1e8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aemodel.rows.splits import row_hashes

SAMPLE_ROWS = 10_000
SAMPLE_BYTES = 64_000_000
BLOCK_VALUES = 1_048_576  # values that are looked at together: 8 MiB of float64
CONSTANT = (
    8  # a column whose range is this many rounding steps of its dtype, or fewer, counts as constant
)
_IQR_OF_NORMAL = 1.3489795  # interquartile range of a normal distribution with sd 1
_NARROW = ("uint8", "int8", "uint16", "int16", "float16", "float32")  # exact in float32
_GRID = (
    2.0**-20
)  # of the scale: means are rounded to it, so that they do not depend on how rows were chunked


@dataclass(frozen=True)
class Scaler:
    """An affine map for flat rows (n, d). center, scale.

    (d,) float64. fill: (d,), what the network sees for NaN, in scaled units.
    """

    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    fill: NDArray[np.float32]

    def transform(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Scale rows (n, *row_shape) to a new array (n, d) float32;

        NaN stays NaN, what float32 cannot hold becomes infinite.
        """
        scaled = np.empty((len(rows), int(np.prod(rows.shape[1:], dtype=np.int64))), np.float32)
        self.transform_into(rows, scaled)
        return scaled

    def transform_into(self, rows: NDArray[Any], scaled: NDArray[np.float32]) -> None:
        """The same, into an array (n, d) that is there already."""
        flat = rows.reshape(scaled.shape)
        with np.errstate(over="ignore", invalid="ignore"):
            if rows.dtype.name in _NARROW and not self.center.any():
                np.divide(flat, self.scale.astype(np.float32), out=scaled, dtype=np.float32)
                return
            exact = np.subtract(flat, self.center, dtype=np.float64)
            exact /= self.scale
            scaled[...] = exact

    def inverse(self, scaled: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Scaled rows (n, d) back in data units, float64."""
        return self.invert(scaled.astype(np.float64))

    def invert(self, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same, in the array itself."""
        scaled *= self.scale
        scaled += self.center
        return scaled


class ScalerFit:
    """Gathers what a scaler needs, chunk by chunk.

    Merging two gives the same scaler as fitting on both their rows.
    """

    def __init__(self, kind: str, n_features: int, dtype: str) -> None:
        self.kind, self.dtype = kind, np.dtype(dtype)
        self.count = np.zeros(n_features)
        self.mean = np.zeros(n_features)
        self.m2 = np.zeros(n_features)
        self.low = np.full(n_features, np.inf)
        self.high = np.full(n_features, -np.inf)
        self._hashes = np.empty(0, np.uint64)
        self._sample = np.empty((0, n_features), self.dtype)
        self._capacity = max(
            1, min(SAMPLE_ROWS, SAMPLE_BYTES // max(1, n_features * self.dtype.itemsize))
        )

    def update(self, rows: NDArray[Any], hashes: NDArray[np.uint64] | None = None) -> None:
        """Take in rows (n, *row_shape) and, where they are known, their hashes (n,)."""
        flat = rows.reshape(len(rows), len(self.mean))
        step = max(1, BLOCK_VALUES // len(self.mean))
        for start in range(0, len(flat), step):
            self._count_in(flat[start : start + step])
        if len(flat) and (
            self.kind == "robust" or self.dtype.kind == "f"
        ):  # the medians: for scaling, or to fill NaN
            self._keep(row_hashes(rows) if hashes is None else hashes, flat)

    def merge(self, other: ScalerFit) -> None:
        """Take in everything that `other` has gathered."""
        self._merge(other.count, other.mean, other.m2, other.low, other.high)
        self._keep(other._hashes, other._sample)

    def _count_in(self, rows: NDArray[Any]) -> None:
        values = rows.astype(np.float64)
        if self.dtype.kind != "f":  # no gaps: several times faster
            mean = values.mean(axis=0)
            self._merge(
                np.full(len(mean), float(len(values))),
                mean,
                ((values - mean) ** 2).sum(axis=0),
                rows.min(axis=0),
                rows.max(axis=0),
            )
            return
        gaps = np.isnan(values)
        count = (len(values) - gaps.sum(axis=0)).astype(np.float64)
        low, high = (
            np.where(gaps, np.inf, values).min(axis=0),
            np.where(gaps, -np.inf, values).max(axis=0),
        )
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.where(gaps, 0.0, values).sum(axis=0) / np.maximum(count, 1)
            m2 = (np.where(gaps, 0.0, values - mean) ** 2).sum(axis=0)
            self._merge(count, mean, m2, low, high)

    def _merge(self, count: Any, mean: Any, m2: Any, low: Any, high: Any) -> None:
        """Chan, Golub & LeVeque (1979), pairwise update of mean and sum of squared deviations."""
        total = self.count + count
        step = mean - self.mean
        share = np.divide(count, total, out=np.zeros_like(total), where=total > 0)
        self.m2 = self.m2 + m2 + step**2 * self.count * share
        self.mean = self.mean + step * share
        self.count = total
        self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)

    def _keep(self, hashes: NDArray[np.uint64], flat: NDArray[Any]) -> None:
        """Keep the rows with the smallest hashes.

        A fair sample that does not depend on chunks or their order.
        """
        if len(self._hashes) == self._capacity:
            near = hashes <= self._hashes[-1]
            hashes, flat = hashes[near], flat[near]
        hashes, sample = (
            np.concatenate([self._hashes, hashes]),
            np.concatenate([self._sample, flat]),
        )
        best = np.argsort(hashes, kind="stable")[: self._capacity]
        self._hashes, self._sample = hashes[best], sample[best]

    def finish(self) -> Scaler:
        """The scaler for what has been gathered."""
        center, scale = getattr(self, f"_{self.kind}")()
        scale = np.where(self._varies() & (scale > 0) & np.isfinite(scale), scale, 1.0)
        fill = (self._median() - center) / scale
        return Scaler(center, scale, np.where(np.isfinite(fill), fill, 0.0).astype(np.float32))

    def _varies(self) -> NDArray[np.bool_]:
        """Which columns (d,) are not constant; all or none where one range serves all."""
        if self.kind == "none" or (self.kind == "range" and self.dtype == np.uint8):
            return np.ones(len(self.mean), np.bool_)
        low, high = self._low_high()
        if self.kind == "range":
            low, high = np.full_like(low, low.min()), np.full_like(high, high.max())
        rounding = np.finfo(self.dtype).eps if self.dtype.kind == "f" else 0.0
        return np.asarray(high - low > CONSTANT * rounding * np.maximum(np.abs(low), np.abs(high)))

    def _low_high(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest and highest value of each column, 0 where it has none."""
        known = self.count > 0
        return np.where(known, self.low, 0.0), np.where(known, self.high, 0.0)

    def _median(self) -> NDArray[np.float64]:
        if not len(self._sample):
            return self.mean
        return _quantile(self._sample, 0.5, self.mean)

    def _none(self) -> tuple[Any, Any]:
        return np.zeros_like(self.mean), np.ones_like(self.mean)

    def _range(self) -> tuple[Any, Any]:
        if self.dtype == np.uint8:
            return np.zeros_like(self.mean), np.full_like(self.mean, 255.0)
        known = self.count > 0
        low, high = (
            (float(self.low[known].min()), float(self.high[known].max()))
            if known.any()
            else (0.0, 0.0)
        )
        return np.full_like(self.mean, low), np.full_like(self.mean, high - low)

    def _minmax(self) -> tuple[Any, Any]:
        low, high = self._low_high()
        return low, high - low

    def _standard(self) -> tuple[Any, Any]:
        spread = np.sqrt(self.m2 / np.maximum(self.count, 1)).astype(np.float32).astype(np.float64)
        grid = np.where((spread > 0) & np.isfinite(spread), spread, 1.0) * _GRID
        return np.where(
            self._varies(), np.rint(self.mean / grid) * grid, self._low_high()[0]
        ), spread

    def _robust(self) -> tuple[Any, Any]:
        """Median and interquartile range, as sd of a normal.

        Where the middle half is constant, the standard deviation.
        """
        spread = (
            _quantile(self._sample, 0.75, self.mean) - _quantile(self._sample, 0.25, self.mean)
        ) / _IQR_OF_NORMAL
        return self._median(), np.where(spread > 0, spread, self._standard()[1])


def _quantile(
    sample: NDArray[Any], share: float, default: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Column quantiles of (n, d) that pass over NaN;

    `default` (d,) where a column has nothing else.
    """
    values = sample.astype(np.float64)
    empty = np.isnan(values).all(axis=0)
    values[:, empty] = default[empty]
    return np.asarray(np.nanquantile(values, share, axis=0))
