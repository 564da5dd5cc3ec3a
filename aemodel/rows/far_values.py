"""Single values far outside all others in clean data: broken readings, sentinels such as -9999.

One of them would stretch the scale of its column until the others look alike. They are left out of
scales and of training, as if missing. At night, such a value still scores as far out as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aemodel.rows.moments import Moments
from aemodel.rows.quantiles import column_quantiles

TAIL = 0.01  # quantile on either side; the range between is a column's width
FENCE = 10.0  # widths beyond those quantiles; values farther out are far
# A larger share of far values is a heavy tail, which is part of the clean data.
MAX_SHARE = 0.002
MIN_ROWS = 50  # fewer rows do not show what is usual

Columns = NDArray[np.float64]  # (d,)


@dataclass(frozen=True)
class FarValues:
    """`count` values of one column below `low` or above `high`, in data units."""

    column: int
    count: int
    low: float
    high: float


@dataclass(frozen=True)
class Fences:
    """Limits of each column in data units: values outside are far.

    They are infinite for a column whose values have no width or a heavy tail.

    low, high: (d,) float64.
    """

    low: Columns
    high: Columns

    @classmethod
    def none(cls, n_features: int) -> Fences:
        """No limits."""
        return cls(np.full(n_features, -np.inf), np.full(n_features, np.inf))

    @property
    def any(self) -> bool:
        """Whether any column has limits."""
        return bool(np.isfinite(self.low).any())

    def outside(self, flat: NDArray[np.generic]) -> NDArray[np.bool_]:
        """Mark the far values of flat rows (n, d)."""
        return np.asarray(np.less(flat, self.low) | np.greater(flat, self.high), np.bool_)


def count_far_values(
    fences: Fences, pieces: Iterable[NDArray[np.generic]]
) -> tuple[FarValues, ...]:
    """Count the far values of each column in pieces of rows (n, *row_shape)."""
    counts = np.zeros(len(fences.low), np.int64)
    for rows in pieces if fences.any else ():
        counts += fences.outside(rows.reshape(len(rows), -1)).sum(axis=0)
    return tuple(
        FarValues(int(each), int(counts[each]), float(fences.low[each]), float(fences.high[each]))
        for each in np.flatnonzero(counts)
    )


def find_fences(sample: NDArray[np.generic]) -> Fences:
    """Find the limits of each column from a random sample (n, d) of the rows."""
    if len(sample) < MIN_ROWS:
        return Fences.none(sample.shape[1])
    values = sample.astype(np.float64)
    low, high = _limits(values)
    known = np.maximum((~np.isnan(values)).sum(axis=0), 1)
    share = ((values < low) | (values > high)).sum(axis=0) / known
    light = share <= MAX_SHARE
    return Fences(np.where(light, low, -np.inf), np.where(light, high, np.inf))


def _limits(values: Columns) -> tuple[Columns, Columns]:
    """Limits (d,), (d,) of values (n, d); infinite where a column has no width."""
    with np.errstate(invalid="ignore", over="ignore"):
        first, last = column_quantiles(values, [TAIL, 1 - TAIL])
        width = last - first
        low, high = first - FENCE * width, last + FENCE * width
    usable = (width > 0) & np.isfinite(width) & np.isfinite(low) & np.isfinite(high)
    return np.where(usable, low, -np.inf), np.where(usable, high, np.inf)


def without_far_values(
    moments: Moments, sample: NDArray[np.generic], fences: Fences
) -> tuple[Moments, NDArray[np.generic]]:
    """Return moments and sample (n, d) without the far values.

    In the columns that have some, the moments are those of the sample, and count stays.
    """
    columns = np.flatnonzero((moments.low < fences.low) | (moments.high > fences.high))
    if not len(columns):
        return moments, sample
    values = sample.astype(np.float64)
    values[fences.outside(values)] = np.nan
    inside = Moments.of(values[:, columns])
    spread = inside.m2 / np.maximum(inside.count, 1) * moments.count[columns]
    found = {"mean": inside.mean, "m2": spread, "low": inside.low, "high": inside.high}
    return replace(moments, **{
        name: _put(getattr(moments, name), columns, column) for name, column in found.items()
    }), values  # fmt: skip


def _put(values: Columns, columns: NDArray[np.intp], new: Columns) -> Columns:
    values = values.copy()
    values[columns] = new
    return values
