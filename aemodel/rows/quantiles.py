"""Quantiles of every column, whatever the number of columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

WHOLE = 2.0**53  # float64 rounds whole numbers from here on
COARSE = 100  # rounding steps between quartiles, below which differences are lost

Values = NDArray[np.float64]


def column_quantiles(values: Values, shares: Sequence[float]) -> Values:
    """Return quantiles (len(shares), d) of values (n, d); NaN does not count.

    NaN for a column of NaN only. The same as np.nanquantile, which takes one column at a time.
    """
    gaps = np.isnan(values).any(axis=0)
    if not gaps.any():
        return np.asarray(np.quantile(values, shares, axis=0))
    found = np.empty((len(shares), values.shape[1]))
    found[:, ~gaps] = np.quantile(values[:, ~gaps], shares, axis=0)
    found[:, gaps] = _without_gaps(values[:, gaps], shares)
    return found


def _without_gaps(values: Values, shares: Sequence[float]) -> Values:
    last = (~np.isnan(values)).sum(axis=0) - 1
    ascending = np.sort(values, axis=0)  # NaN comes last
    return np.stack([_at(ascending, share * last, last) for share in shares])


def _at(ascending: Values, place: Values, last: NDArray[np.intp]) -> Values:
    """Interpolate between ascending values (n, d) at fractional places (d,), as NumPy does."""
    below = np.clip(place.astype(np.intp), 0, None)
    above = np.clip(below + 1, 0, np.maximum(last, 0))
    low, high = (np.take_along_axis(ascending, each[None], axis=0)[0] for each in (below, above))
    share = place - below
    with np.errstate(invalid="ignore", over="ignore"):
        found = np.where(share < 0.5, low + (high - low) * share, high - (high - low) * (1 - share))
    return np.where(last < 0, np.nan, found)


def rounding_steps(
    first: NDArray[np.float64], third: NDArray[np.float64], known: NDArray[np.bool_]
) -> dict[int, float]:
    """Return the rounding step of large whole numbers whose quartiles (d,) are few steps apart.

    By column, of the `known` ones (d,).
    """
    size = np.maximum(np.abs(first), np.abs(third))
    step, apart = np.spacing(size), third - first
    coarse = known & (size >= WHOLE) & (apart > 0) & (apart <= COARSE * step)
    return {index: float(step[index]) for index in np.flatnonzero(coarse).tolist()}
