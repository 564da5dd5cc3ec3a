"""Level and spread of each entity's clean rows, shrunk towards the pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.series.windows.pyramid import Values

FAR = 1e4  # scaled values beyond it are cut: their squares still fit float32
SMALLEST = 1e-280
TINY = 1e-24  # variance, relative to that of all rows, of a sensor that never moves
STILL = 1e-12  # spread, relative to the level, of a sensor that never moves but for rounding
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class LevelMoments:
    """Counts, sums and sums of squares (e, d) of the observed rows of entities.

    Sums are of values less `origin` (d,), so that large offsets lose no digits. rows: (e,) all.
    """

    rows: Matrix
    origin: Matrix
    count: Matrix
    total: Matrix
    squares: Matrix

    @classmethod
    def around(cls, rows: NDArray[np.generic], entities: int) -> LevelMoments:
        """No rows of `entities` entities; the origin is near rows (n, d)."""
        seen = np.isfinite(rows.astype(np.float64))
        sums = np.where(seen, rows, 0.0).sum(axis=0, dtype=np.float64)
        origin = sums / np.maximum(seen.sum(axis=0), 1)
        count, total, squares = (np.zeros((entities, len(origin))) for _ in range(3))
        return cls(np.zeros(entities), origin, count, total, squares)

    def add(self, rows: NDArray[np.generic], entity: int) -> None:
        """Count rows (n, d) of one entity; NaN is not observed."""
        moved = rows.astype(np.float64) - self.origin
        seen = np.isfinite(moved)
        moved = np.where(seen, moved, 0.0)
        self.rows[entity] += len(rows)
        self.count[entity] += seen.sum(axis=0)
        self.total[entity] += moved.sum(axis=0)
        self.squares[entity] += (moved * moved).sum(axis=0)


@dataclass(frozen=True)
class EntityLevels:
    """Center and spread (e + 1, d) of entities by name; the last row is the pool's.

    missing: (e + 1, d) share of the rows without a value.
    """

    names: tuple[str, ...]
    center: Matrix
    spread: Matrix
    missing: Matrix

    @classmethod
    def of(cls, names: Sequence[str], moments: LevelMoments) -> EntityLevels:
        """Take mean and standard deviation of each entity, shrunk towards those of all.

        Both are shrunk as far as the entities differ no more than few rows explain (empirical
        Bayes), the spread by its logarithm: entities of other units and sizes keep their own. The
        pool, by which unknown entities are judged, has the mean and spread of all rows.
        """
        rows = np.maximum(moments.count, 1)
        mean = moments.total / rows
        variance = np.maximum(moments.squares / rows - mean**2, 0)
        all_rows = np.maximum(moments.count.sum(axis=0), 1)
        pool = moments.total.sum(axis=0) / all_rows
        whole = np.maximum(moments.squares.sum(axis=0) / all_rows - pool**2, 0)
        logs = np.log(np.maximum(variance, np.maximum(TINY * whole, SMALLEST)))
        spread = np.exp(_shrunk(logs, 2 / rows, rows) / 2)
        center = _shrunk(mean, spread**2 / rows, rows)
        centers = moments.origin + np.vstack([center, pool])
        spreads = np.vstack([spread, np.sqrt(whole)])
        return cls(tuple(names), centers, _usable(spreads, centers), _missing(moments))

    def pooled(self) -> EntityLevels:
        """The pool alone."""
        return EntityLevels((), self.center[-1:], self.spread[-1:], self.missing[-1:])

    def rows_of(self, names: Sequence[str]) -> NDArray[np.intp]:
        """Return the row of each name; unknown ones have the pool's."""
        known = {name: index for index, name in enumerate(self.names)}
        return np.array([known.get(name, len(self.names)) for name in names], np.intp)

    def scale(self, rows: NDArray[np.generic], row: int) -> Values:
        """Return rows (n, d) of the entity in row `row` in units of its spread, cut at FAR."""
        scaled = (rows.astype(np.float64) - self.center[row]) / self.spread[row]
        return np.asarray(np.clip(scaled, -FAR, FAR), np.float32)


def _missing(moments: LevelMoments) -> Matrix:
    """Return the share of rows without a value (e + 1, d), of all rows last."""
    count = np.vstack([moments.count, moments.count.sum(axis=0)])
    rows = np.append(moments.rows, moments.rows.sum())
    return np.asarray(1 - count / np.maximum(rows, 1)[:, None])


def _shrunk(values: Matrix, errors: Matrix, weights: Matrix) -> Matrix:
    """Shrink values (e, d) with sampling variances (e, d) towards their weighted mean."""
    total = weights.sum(axis=0)
    mean = (weights * values).sum(axis=0) / total
    between = (weights * (values - mean) ** 2).sum(axis=0) / total
    between = np.maximum(between - (weights * errors).sum(axis=0) / total, 0)
    share = between / np.maximum(between + errors, 1e-300)
    return np.asarray(mean + share * (values - mean))


def _usable(spread: Matrix, center: Matrix) -> Matrix:
    """Give a sensor that never moves a small spread: any move of it is then far out."""
    size = np.maximum(np.abs(center), 1e-100)
    still = spread <= STILL * size
    pool_moves = ~still[-1:]
    instead = np.where(pool_moves, spread[-1:], 1e-3 * np.where(center == 0, 1.0, np.abs(center)))
    return np.where(still, instead, spread)
