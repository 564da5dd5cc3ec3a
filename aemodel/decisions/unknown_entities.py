"""Entities of a night that have no clean rows: which, and how many rows of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.rows.entities.scales import Entities

MOST_KEPT = 100_000  # keys; of more, those with the smallest are kept
MOST_NAMED = 20


@dataclass(frozen=True)
class UnknownEntities:
    """Counts of rows that merge exactly.

    keys: (k,), ascending. counts: (k,) int64, rows of each. unnamed: rows that name no entity.
    """

    keys: NDArray[np.float64]
    counts: NDArray[np.int64]
    unnamed: int = 0

    @classmethod
    def none(cls) -> UnknownEntities:
        """No rows."""
        return cls(np.empty(0), np.empty(0, np.int64))

    @classmethod
    def of(cls, entities: Entities | None, rows: NDArray[np.generic]) -> UnknownEntities:
        """Count in rows (n, d)."""
        if entities is None:
            return cls.none()
        found = rows[entities.unknown(rows), entities.column].astype(np.float64)
        missing = np.isnan(found)
        keys, counts = np.unique(found[~missing], return_counts=True)
        return cls(keys[:MOST_KEPT], counts[:MOST_KEPT], int(missing.sum()))

    def merge(self, other: UnknownEntities) -> UnknownEntities:
        """Add the counts of both."""
        keys, places = np.unique(np.concatenate([self.keys, other.keys]), return_inverse=True)
        both = np.concatenate([self.counts, other.counts])
        counts = np.bincount(places, both, len(keys)).astype(np.int64)
        return UnknownEntities(keys[:MOST_KEPT], counts[:MOST_KEPT], self.unnamed + other.unnamed)

    def largest(self) -> NDArray[np.float64]:
        """Return the keys of the entities with the most rows, at most MOST_NAMED."""
        return self.keys[np.lexsort((self.keys, -self.counts))[:MOST_NAMED]]

    def to_text(self, column: str, names: Mapping[float, str]) -> str:
        """Describe the entities that `column` names; names: of `largest`, by key. '' if none."""
        parts = [self._listed(column, names)] if len(self.keys) else []
        if self.unnamed:
            parts.append(f"{_rows(self.unnamed)} without {column}")
        return f"scaled by level and spread of all rows: {'; '.join(parts)}" if parts else ""

    def _listed(self, column: str, names: Mapping[float, str]) -> str:
        rows = dict(zip(self.keys.tolist(), self.counts.tolist(), strict=True))
        largest = self.largest().tolist()
        listed = ", ".join(f"{names.get(key, '?')!r} ({rows[key]:,})" for key in largest)
        others = len(self.keys) - len(largest)
        more = f", and {others:,} more" if others else ""
        least = "at least " if len(self.keys) == MOST_KEPT else ""
        total = _rows(int(self.counts.sum()))
        return f"{least}{total} with {column} not in the clean rows: {listed}{more}"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
