"""Values far outside: sentinels, gaps and infinities, which codecs must not be fitted to.

A block stores them exactly (see `blocks`), so a codec may put any other value in their place.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

FARTHEST = 2.0**31  # steps from the median of a column; beyond it, an exact value costs less
LARGEST = 2.0**52  # steps from zero; beyond it, float64 does not tell them apart
MEDIAN_ROWS = 10_001
T = TypeVar("T", bound=np.generic)


def far_outside(rows: NDArray[np.generic], step: NDArray[np.float64] | float) -> NDArray[np.bool_]:
    """Mark the values of rows (n, d) that are not finite or too many steps from their column.

    step: (d,) or one for all columns, larger than 0.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        steps = rows.astype(np.float64) / step
        usable = np.abs(steps) < LARGEST  # False for NaN
        return np.asarray(~usable | (np.abs(steps - _medians(steps, usable)) >= FARTHEST))


def _medians(steps: NDArray[np.float64], usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the median (d,) of each column's usable values, from evenly spaced rows."""
    some = slice(None, None, max(1, len(steps) // MEDIAN_ROWS))
    ordered = np.sort(np.where(usable[some], steps[some], np.inf), axis=0)
    middle = np.count_nonzero(usable[some], axis=0) // 2
    if not len(ordered):
        return np.zeros(steps.shape[1])
    medians = np.take_along_axis(ordered, np.minimum(middle, len(ordered) - 1)[None], axis=0)[0]
    return np.where(np.isfinite(medians), medians, 0.0)


def fill_forward(field: NDArray[T], marked: NDArray[np.bool_]) -> NDArray[T]:
    """Return a field with each marked value replaced by the unmarked one before it.

    In reading order; those before the first unmarked value get that value, or 0 if there is none.
    """
    if not marked.any():
        return field
    kept = np.flatnonzero(~marked)
    if not len(kept):
        return np.zeros_like(field)
    before = np.maximum.accumulate(np.where(marked.reshape(-1), 0, np.arange(marked.size)))
    filled: NDArray[T] = field.reshape(-1)[np.maximum(before, kept[0])]
    return filled.reshape(field.shape)
