"""Rows in units of their entity: own = (x - level) / spread."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Places = NDArray[np.intp]


ARRAYS = ("keys", "level", "spread", "rows")  # of Entities, as files keep them


@dataclass(frozen=True, kw_only=True)
class Entities:
    """Level and spread of each entity.

    column: index of the column that names the entity by its key. keys: (e,), ascending.
    level, spread: (e + 1, d), the last of an unknown entity; 0 and 1 for what is no number.
    rows: (e,) int64, fit rows of each.
    """

    column: int
    keys: Values
    level: Values
    spread: Values
    rows: NDArray[np.int64]

    def places(self, flat: NDArray[np.generic]) -> Places:
        """Return which entity each of rows (n, d) belongs to, (n,); e for an unknown one."""
        return self.places_of(flat[:, self.column].astype(np.float64))

    def places_of(self, keys: Values) -> Places:
        """Return the entities (n,) with these keys (n,); e for an unknown one."""
        found = np.searchsorted(self.keys, keys)
        known = np.append(self.keys, np.nan)[found] == keys
        return np.asarray(np.where(known, found, len(self.keys)))

    def of_columns(self, places: list[int]) -> Entities:
        """Return level and spread of some columns only."""
        return replace(self, level=self.level[:, places], spread=self.spread[:, places])

    def unknown(self, flat: NDArray[np.generic]) -> NDArray[np.bool_]:
        """Mark the rows (n,) of (n, d) whose entity has no clean rows, or that name none."""
        return np.asarray(self.places(flat) == len(self.keys), np.bool_)

    def standardize(self, flat: NDArray[np.generic]) -> Values:
        """Return rows (n, d) in units of their entity; NaN in the column that names it."""
        places = self.places(flat)
        own = np.subtract(flat, self.level[places], dtype=np.float64)
        own /= self.spread[places]
        own[:, self.column] = np.nan
        return np.asarray(own)

    def restore(self, own: Values, flat: NDArray[np.generic]) -> Values:
        """Undo `standardize` in place, for the entities that rows (n, d) `flat` belong to."""
        places = self.places(flat)
        own *= self.spread[places]
        own += self.level[places]
        own[:, self.column] = flat[:, self.column]
        return own

    def constants(
        self, flat: NDArray[np.generic], constant: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Mark the values (n, k) of the k `constant` columns (d,) that have a known constant.

        All have, but in unknown entities those that differ between entities.
        """
        return ~self.unknown(flat)[:, None] | ~self._differs[constant]

    @cached_property
    def _differs(self) -> NDArray[np.bool_]:
        """Columns (d,) whose level is not the same in all entities."""
        return np.asarray((self.level != self.level[-1]).any(axis=0), np.bool_)
