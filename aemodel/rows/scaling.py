"""Scalers: from data units to the scaled units in which the network works and errors are measured.

    scaled = (x - center) / scale

Where a column names entities, x is first put in units of its entity, see `aemodel.rows.entities`.
An hour or weekday becomes a share of its period, and a category the rank of its level (see
`aemodel.rows.levels`).

A column that is constant in the fit rows becomes 0. Any later change beyond rounding becomes

    sign(x - center) * (CHANGED + log2(1 + |x - center| / unit)),  unit = CHANGE_UNIT * |center|

which is the same in meters and in millimeters, large for any change, and never as large as 1e8.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aemodel.rows.entities.scales import Entities
from aemodel.rows.levels import Levels

CHANGED = 8.0  # scaled size of the smallest change of a constant column
CHANGE_UNIT = 1e-9  # relative to the constant, absolute if that is 0
BLOCK_VALUES = 1 << 15  # scaled at once in float64: they stay in the cache
LARGEST, SMALLEST = 1e30, 1e-30  # centers and scales with which rows are scaled in float32
NARROW = ("uint8", "int8", "uint16", "int16", "float16", "float32")  # exact in float32


@dataclass(frozen=True)
class Scaler:
    """An affine map for flat rows (n, d).

    center, scale: (d,) float64.
    fill: (d,) float32, in scaled units; replaces NaN in what the network sees.
    tolerance: (d,) float64, rounding of a column that is constant in the fit rows; NaN for others.
    complete: (d,) bool, columns without a missing value in the fit rows.
    donors: (m, d) float32, scaled fit rows whose values networks see in place of gaps, see
        `aemodel.network.gaps`; (0, d) if no column needs them.
    levels: of the categories among the columns; None if all columns are numbers. entities: whose
        level and spread rows are scaled by; None if no column names them.
    """

    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    fill: NDArray[np.float32]
    tolerance: NDArray[np.float64]
    complete: NDArray[np.bool_]
    donors: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    levels: Levels | None = None
    entities: Entities | None = None

    @classmethod
    def inverse_only(cls, center: NDArray[np.float64], scale: NDArray[np.float64]) -> Scaler:
        """Build a scaler that only maps scaled rows back to data units."""
        d = len(center)
        fill, complete = np.zeros(d, np.float32), np.zeros(d, np.bool_)
        return cls(center, scale, fill, np.full(d, np.nan), complete)

    @cached_property
    def constant(self) -> NDArray[np.bool_]:
        """Columns (d,) with a single value in the fit rows."""
        return ~np.isnan(self.tolerance)

    @cached_property
    def exceeds_float32(self) -> bool:
        """Whether differences or scales may overflow, or lose digits, in float32."""
        sizes = np.concatenate([np.abs(self.center), self.scale])
        return bool((sizes > LARGEST).any() or (self.scale < SMALLEST).any())

    def transform(self, rows: NDArray[np.generic]) -> NDArray[np.float32]:
        """Scale rows (n, *row_shape) to a new array (n, d).

        NaN stays NaN; values too large for float32 become infinite.
        """
        scaled = np.empty((len(rows), int(np.prod(rows.shape[1:], dtype=np.int64))), np.float32)
        self.transform_into(rows, scaled)
        return scaled

    def transform_into(self, rows: NDArray[np.generic], scaled: NDArray[np.float32]) -> None:
        """Scale rows (n, *row_shape) into an existing array (n, d)."""
        flat = rows.reshape(scaled.shape)
        wide = rows.dtype.name not in NARROW or self.entities is not None or self.exceeds_float32
        dtype: type[np.floating] = np.float64 if wide else np.float32
        affine = self._affine64 if wide else self._affine32
        block = affine.shape[1]
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(flat), block):
                some, target = flat[start : start + block], scaled[start : start + block]
                found = np.empty(some.shape, dtype) if wide else target
                self._scale(some, affine[:, : len(some)], found)
                if wide:
                    target[:] = found
        if self.levels is not None:
            self.levels.write_ranks(flat, scaled)

    @cached_property
    def _affine32(self) -> NDArray[np.float32]:
        return self._affine64.astype(np.float32)

    @cached_property
    def _affine64(self) -> NDArray[np.float64]:
        """Center and scale (2, n, d), repeated for the rows of a block.

        NumPy's loops over single rows take half as long again.
        """
        block = max(1, BLOCK_VALUES // max(1, self.center.size))
        return np.stack([self.center, self.scale])[:, None].repeat(block, axis=1)

    def _scale(
        self, flat: NDArray[np.generic], affine: NDArray[Any], found: NDArray[np.floating]
    ) -> None:
        """Scale rows (n, d) into `found`. affine: center and scale (2, n, d) in its dtype."""
        own = flat if self.entities is None else self.entities.standardize(flat)
        np.subtract(own, affine[0], dtype=found.dtype, out=found)
        found /= affine[1]
        if self.constant.any():
            found[:, self.constant] = self._scaled_constants(found[:, self.constant], flat)

    def _scaled_constants(
        self, values: NDArray[np.floating], flat: NDArray[np.generic]
    ) -> NDArray[np.floating]:
        """Scale the values (n, k) of the constant columns of rows (n, d)."""
        changes = self._scaled_changes(values.astype(np.float64))
        if self.entities is None:
            return changes
        return np.where(self.entities.constants(flat, self.constant), changes, values)

    def _scaled_changes(self, changes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scale changes (n, k) of the constant columns; see the module."""
        size, center = np.abs(changes), np.abs(self.center[self.constant])
        unit = CHANGE_UNIT * np.where(center == 0, 1.0, center)
        scaled = np.sign(changes) * (CHANGED + np.log2(1 + size / unit))
        return np.where(size <= self.tolerance[self.constant], 0.0, scaled)

    def inverse(
        self, scaled: NDArray[np.floating], like: NDArray[np.generic] | None = None
    ) -> NDArray[np.float64]:
        """Map scaled rows (n, d) back to data units, in a new array.

        like: rows (n, d) of the same entities; without it, all are unknown.
        """
        found = self.invert(scaled.astype(np.float64))
        if self.entities is not None and like is not None:
            return self.entities.restore(found, like.reshape(found.shape))
        return found

    def scales(self, rows: NDArray[np.generic]) -> NDArray[np.float64]:
        """Return the scale in data units (n, d) of rows (n, *row_shape); (d,) without entities."""
        if self.entities is None:
            return self.scale
        flat = rows.reshape(len(rows), len(self.scale))
        return np.asarray(self.entities.spread[self.entities.places(flat)] * self.scale)

    def invert(self, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map scaled rows (n, d) back to data units in place."""
        scaled *= self.scale
        scaled += self.center
        if self.levels is not None:
            self.levels.write_keys(scaled)
        return scaled
