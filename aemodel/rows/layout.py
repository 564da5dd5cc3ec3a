"""The layout of a row: shape, dtype, columns."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

NUMBER, CATEGORY, HOUR, WEEKDAY = "number", "category", "hour", "weekday"
ENTITY = "entity"  # what a row belongs to, by which it is scaled; no feature
PERIODS = {HOUR: 24.0, WEEKDAY: 7.0}
MAX_LEVELS = 32
NARROWEST = 4  # columns of an image
# rows (length, channels) are a signal, not an image, if they are this many times longer than wide
SLIM = 8
FEWEST_STEPS = 24  # of a row without names of columns, to be a signal


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Shape and dtype of one row in the source, and the columns if it has any.

    kinds: the kind of each column, () if all are numbers. Categories are keys of their levels, see
    `aemodel.rows.levels`, and so are entities; times are hours, 0 to 24, and weekdays, 0 to 6. The
    two columns of a time have one name. max_levels: the most levels of a category that the network
    tells apart.
    """

    row_shape: tuple[int, ...]
    dtype: str
    columns: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    max_levels: int = MAX_LEVELS

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, each once; () if they have no names."""
        return tuple(dict.fromkeys(self.columns))

    @property
    def by_region(self) -> bool:
        """Whether rows are images or signals, rather than columns that stand for themselves."""
        return not self.columns and (len(self.row_shape) > 1 or self.row_shape[0] >= FEWEST_STEPS)

    def of_kind(self, *kinds: str) -> tuple[int, ...]:
        """Return the indices of the columns of some kinds."""
        return tuple(index for index, kind in enumerate(self.kinds) if kind in kinds)

    @property
    def entity(self) -> int | None:
        """The index of the column that names a row's entity; None without one."""
        return next(iter(self.of_kind(ENTITY)), None)

    @property
    def features(self) -> tuple[int, ...]:
        """The indices of what is judged: all values of a row but its entity."""
        return tuple(index for index in range(self.n_features) if index != self.entity)

    @property
    def n_features(self) -> int:
        """Number of values in one row."""
        return int(np.prod(self.row_shape, dtype=np.int64))


def flat_rows(rows: ArrayLike, row_shape: tuple[int, ...]) -> ArrayLike:
    """Return rows (n, *row_shape) as (n, d); flat rows stay as they are.

    Raises ValueError for rows of another shape.
    """
    if len(row_shape) < 2 or len(shape := np.shape(rows)) == 2:
        return rows
    if shape[1:] != row_shape:
        raise ValueError(
            f"X must have rows of the shape {row_shape} or ({math.prod(row_shape)},). "
            f"Got an array of the shape {shape} instead."
        )
    return np.reshape(rows, (shape[0], math.prod(row_shape)))


def is_signal(row_shape: tuple[int, ...]) -> bool:
    """Return whether rows (length, channels) are a signal, such as a window, and not an image."""
    if len(row_shape) != 2:
        return False
    length, channels = row_shape
    return channels < NARROWEST or length >= SLIM * channels


def cast_rows(rows: NDArray[np.float64], dtype: str) -> NDArray[np.generic]:
    """Cast rows to the source's dtype; integers are rounded and clipped to their range."""
    kind = np.dtype(dtype)
    if kind.kind not in "iu":
        with np.errstate(over="ignore"):
            return rows.astype(kind)
    limits = np.iinfo(kind)
    rounded = np.clip(np.rint(rows), limits.min, limits.max)
    if kind.itemsize < 8:
        return rounded.astype(kind)
    too_large = rounded >= float(limits.max)  # float64 cannot hold the largest 64-bit integers
    below = np.where(too_large, 0, rounded).astype(kind)
    return np.where(too_large, limits.max, below).astype(kind)
