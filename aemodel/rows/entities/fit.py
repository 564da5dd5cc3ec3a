"""Fits level and spread of each entity.

The level is the mean of the entity's rows, drawn to that of all rows by the share

    variance / (variance + rows * between)

between: variance of the entities' true levels (method of moments). The variance is drawn to that
which is typical of entities, see `aemodel.rows.entities.variances`, and the spread also holds what
is uncertain about level and variance. An entity without clean rows, or a row that names none, has
level and spread of all rows. A column that is constant within every entity is divided by its size.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aemodel.errors import DataError
from aemodel.rows.entities.scales import Entities, Places, Values
from aemodel.rows.entities.variances import squeezed_variances
from aemodel.rows.far_values import Fences
from aemodel.rows.moments import Moments, round_digits

MOST_ENTITIES = 20_000
MOST_SCALES = 5_000_000  # entities times columns: 200 MB of moments while they are counted
FEWEST_REPEATS = 20  # rows beyond each entity's first; fewer do not show a spread within entities
GRID = 2.0**-20  # levels are rounded to this fraction of the spread: chunks do not matter


class EntityMoments:
    """Moments of each entity's rows, chunk by chunk."""

    def __init__(self, column: int, n_features: int) -> None:
        """Group rows of `n_features` values by the key in the column with this index."""
        self.column = column
        self.keys = np.empty(0)  # ascending; NaN, of rows that name no entity, is the last
        self.moments = _empty(0, n_features)

    def update(self, flat: NDArray[np.generic]) -> None:
        """Add rows (n, d). Raises DataError if there are too many entities."""
        if not len(flat):
            return
        values = flat.astype(np.float64)
        keys, places = np.unique(values[:, self.column], return_inverse=True)
        self._add(keys, _by_group(values, places))
        most = min(MOST_ENTITIES, MOST_SCALES // len(values[0]))
        if len(self.keys) > most:
            raise DataError(
                f"data.entity must name a column with at most {most:,} entities in the clean rows, "
                f"for rows of {len(values[0]):,} values. Got more instead; choose a column that "
                "many rows share."
            )

    def merge(self, other: EntityMoments) -> None:
        """Add all rows of another."""
        self._add(other.keys, other.moments)

    def without_far_values(self, sample: NDArray[np.generic], fences: Fences) -> EntityMoments:
        """Return the moments without far values.

        In the columns that have some, they are those of a sample (n, d) that has none.
        """
        seen = together(self.moments)
        far = (seen.low < fences.low) | (seen.high > fences.high)
        if not far.any():
            return self
        sampled = EntityMoments(self.column, len(far))
        sampled.update(sample)
        places = np.searchsorted(self.keys, sampled.keys)
        new = _placed(sampled.moments, places, len(self.keys))
        found = EntityMoments(self.column, len(far))
        pairs = zip(vars(new).values(), vars(self.moments).values(), strict=True)
        found.keys, found.moments = self.keys, Moments(*(np.where(far, a, b) for a, b in pairs))
        return found

    def _add(self, keys: Values, moments: Moments) -> None:
        both = np.unique(np.concatenate([self.keys, keys]))
        old = _placed(self.moments, np.searchsorted(both, self.keys), len(both))
        self.moments = old.merge(_placed(moments, np.searchsorted(both, keys), len(both)))
        self.keys = both

    def finish(self, numbers: NDArray[np.bool_], rounding: float) -> Entities:
        """Return the entities; numbers: (d,), which columns are scaled by entity.

        rounding: relative, within which the values of a column are the same. Raises DataError if
        no row names an entity.
        """
        named = ~np.isnan(self.keys)
        if not named.any():
            raise DataError(
                "data.entity must name a column with values. Got none in the clean rows instead."
            )
        known = _at(self.moments, np.flatnonzero(named))
        level, spread = _shrunk(known, together(self.moments), rounding)
        return Entities(
            column=self.column,
            keys=self.keys[named],
            level=np.where(numbers, level, 0.0),
            spread=np.where(numbers, spread, 1.0),
            rows=known.count[:, self.column].astype(np.int64),
        )

    def constant(self, rounding: float) -> NDArray[np.bool_]:
        """Return the columns (d,) that are constant within every entity, up to rounding."""
        return _constant_within(_at(self.moments, np.flatnonzero(~np.isnan(self.keys))), rounding)

    def standardized(self, entities: Entities, constant: NDArray[np.bool_]) -> Moments:
        """Return the moments of all rows as `Entities.standardize` gives them.

        constant: (d,), columns whose values are all 0 then.
        """
        moments, count = self.moments, len(self.keys)
        level, spread = entities.level[:count], entities.spread[:count]
        own = Moments(
            moments.count,
            (moments.mean - level) / spread,
            moments.m2 / spread**2,
            (moments.low - level) / spread,
            (moments.high - level) / spread,
        )
        found = together(own)
        parts = {name: getattr(found, name) for name in ("mean", "m2", "low", "high")}
        zeros = {name: np.where(constant, 0.0, values) for name, values in parts.items()}
        return replace(found, **zeros)


def together(moments: Moments) -> Moments:
    """Return the moments (d,) of all rows from those of groups (g, d)."""
    count = moments.count.sum(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = (moments.count * moments.mean).sum(axis=0) / np.maximum(count, 1)
        between = (moments.count * (moments.mean - mean) ** 2).sum(axis=0)
        m2 = moments.m2.sum(axis=0) + between
    return Moments(count, mean, m2, moments.low.min(axis=0), moments.high.max(axis=0))


def _shrunk(known: Moments, pool: Moments, rounding: float) -> tuple[Values, Values]:
    """Return level and spread (e + 1, d) of entities with these moments (e, d); pool: (d,)."""
    within, between = _variances(known)
    own, factor = squeezed_variances(known.m2, np.maximum(known.count - 1, 0), within)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        share = known.count * between / (known.count * between + own)
        share = np.nan_to_num(share, nan=0.0)  # no variance at all
        level = pool.mean + share * (known.mean - pool.mean)
        spread = np.sqrt((own + between * (1 - share)) * factor)
        all_rows = np.sqrt(pool.m2 / np.maximum(pool.count, 1))
    spread = np.where(_repeats(known) < FEWEST_REPEATS, all_rows, spread)
    level = np.where(_repeats(known) < FEWEST_REPEATS, pool.mean, level)
    level, spread = np.vstack([level, pool.mean]), np.vstack([spread, all_rows])
    level, spread = _on_grid(level, spread)
    return _with_constants(known, pool, (level, spread), rounding)


def _variances(known: Moments) -> tuple[Values, Values]:
    """Return the variances (d,) within entities and between their true levels."""
    groups = (known.count > 0).sum(axis=0)
    rows, all_known = known.count.sum(axis=0), together(known)
    with np.errstate(over="ignore", invalid="ignore"):
        within = known.m2.sum(axis=0) / np.maximum(rows - groups, 1)
        apart = all_known.m2 - known.m2.sum(axis=0)
        usual = rows - (known.count**2).sum(axis=0) / np.maximum(rows, 1)
        between = (apart - (groups - 1) * within) / np.maximum(usual, 1)
    return within, np.maximum(between, 0.0)


def _repeats(known: Moments) -> Values:
    return np.asarray(np.maximum(known.count - 1, 0).sum(axis=0))


def _on_grid(level: Values, spread: Values) -> tuple[Values, Values]:
    spread = round_digits(spread)
    spread = np.where((spread > 0) & np.isfinite(spread), spread, 1.0)
    return np.rint(level / (spread * GRID)) * (spread * GRID), spread


def _constant_within(known: Moments, rounding: float) -> NDArray[np.bool_]:
    size = np.maximum(np.abs(known.low), np.abs(known.high))
    with np.errstate(invalid="ignore"):
        same = (known.count == 0) | (known.high - known.low <= rounding * size)
    return np.asarray(same.all(axis=0) & (_repeats(known) >= FEWEST_REPEATS), np.bool_)


def _with_constants(
    known: Moments, pool: Moments, scales: tuple[Values, Values], rounding: float
) -> tuple[Values, Values]:
    """Put in the constants of columns that are constant within every entity."""
    level, spread = scales
    same = pool.high - pool.low <= rounding * np.maximum(np.abs(pool.low), np.abs(pool.high))
    usual = np.where(same, pool.low, pool.mean)
    own = np.vstack([np.where(known.count > 0, known.low, usual), usual])
    size = np.where(own == 0, 1.0, np.abs(own))
    size[-1] = np.where(same, size[-1], spread[-1])
    constant = _constant_within(known, rounding)
    return np.where(constant, own, level), np.where(constant, size, spread)


def _by_group(values: Values, places: Places) -> Moments:
    """Return the moments (g, d) of rows (n, d) in groups 0 to g - 1, each with a row."""
    order = np.argsort(places, kind="stable")
    values, groups = values[order], places[order]
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    gaps = np.isnan(values)
    count = np.add.reduceat(~gaps, starts, axis=0, dtype=np.float64)
    low = np.minimum.reduceat(np.where(gaps, np.inf, values), starts, axis=0)
    high = np.maximum.reduceat(np.where(gaps, -np.inf, values), starts, axis=0)
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.add.reduceat(np.where(gaps, 0.0, values), starts, axis=0)
        mean = total / np.maximum(count, 1)
        away = np.where(gaps, 0.0, values - mean[groups])
        return Moments(count, mean, np.add.reduceat(away**2, starts, axis=0), low, high)


def _empty(count: int, n_features: int) -> Moments:
    zeros = np.zeros((count, n_features))
    return Moments(zeros, zeros, zeros, zeros + np.inf, zeros - np.inf)


def _placed(moments: Moments, places: Places, count: int) -> Moments:
    """Return moments (g, d) as some of `count` groups, the others without rows."""
    found = _empty(count, moments.mean.shape[1])
    parts = []
    for old, new in zip(vars(found).values(), vars(moments).values(), strict=True):
        part = old.copy()
        part[places] = new
        parts.append(part)
    return Moments(*parts)


def _at(moments: Moments, places: Places) -> Moments:
    return Moments(*(values[places] for values in vars(moments).values()))
