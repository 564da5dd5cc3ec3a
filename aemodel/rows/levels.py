"""Levels of categories: counted in fit rows, most frequent first, and as numbers in scaled rows.

A category reaches this package as keys: whole numbers, one for each level, NaN for a gap. In
scaled rows a level is its rank by frequency. With L levels in the fit rows, L stands for a gap and
L + 1 for a level that no fit row has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

MOST_LEVELS = 1_000_000
KEY_BITS = 53  # float64 holds such whole numbers exactly
LONGEST_NAME = 200  # characters of a level that a bundle keeps

Keys = NDArray[np.float64]
Counts = NDArray[np.int64]


def level_key(level: str) -> float:
    """Return the key of a level, by its text: a whole number below 2^53."""
    digest = hashlib.blake2b(level.encode(), digest_size=8).digest()
    return float(int.from_bytes(digest, "little") >> (64 - KEY_BITS))


def level_names(keys: Keys, texts: Mapping[float, str]) -> list[str]:
    """Return the names of levels (n,) that a bundle keeps; texts: by key, '' if unknown."""
    return [_shortened(texts.get(key, "")) for key in keys.tolist()]


def _shortened(level: str) -> str:
    text = level.encode(errors="replace").decode()
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}…"


@dataclass(frozen=True, kw_only=True)
class Levels:
    """The levels of k categories.

    columns: (k,), the index of each category among the columns.
    starts: (k + 1,), where the levels of each category begin in `keys`, then their number.
    keys, counts: (m,), of all levels, and how many fit rows have them; by category, then by count,
        descending, then by key.
    gaps: (k,), fit rows with a gap. kept: (k,), levels that the network tells apart; all others
        are one level to it.
    """

    columns: Counts
    starts: Counts
    keys: Keys
    counts: Counts
    gaps: Counts
    kept: Counts

    @cached_property
    def sizes(self) -> Counts:
        """Number of levels of each category, (k,)."""
        return np.diff(self.starts)

    @property
    def rows(self) -> int:
        """Number of fit rows; 0 without categories."""
        if not len(self.columns):
            return 0
        return int(self.counts[self.of(0)].sum() + self.gaps[0])

    def of(self, category: int) -> slice:
        """Return where the levels of a category lie in `keys` and `counts`."""
        return slice(int(self.starts[category]), int(self.starts[category + 1]))

    def known(self, category: int) -> Keys:
        """Return the keys of the levels that the network tells apart, by rank."""
        return self.keys[self.of(category)][: self.kept[category]]

    def known_by_column(self, columns: Sequence[str]) -> dict[str, Keys]:
        """Return `known` by column; columns: (d,), the names of all columns."""
        return {columns[i]: self.known(category) for category, i in enumerate(self.columns)}

    @cached_property
    def _sorted(self) -> list[tuple[Keys, NDArray[np.intp]]]:
        """Each category's keys, ascending, and the rank of each."""
        orders = [np.argsort(self.keys[self.of(i)]) for i in range(len(self.columns))]
        return [(self.keys[self.of(i)][order], order) for i, order in enumerate(orders)]

    def ranks(self, category: int, keys: Keys) -> NDArray[np.intp]:
        """Return the ranks (n,) of levels with these keys (n,)."""
        ascending, order = self._sorted[category]
        size = len(ascending)
        places = np.minimum(np.searchsorted(ascending, keys), size - 1)
        ranks = np.where(ascending[places] == keys, order[places], size + 1) if size else size + 1
        return np.where(np.isnan(keys), size, ranks)

    def write_ranks(self, flat: NDArray[np.generic], scaled: NDArray[np.float32]) -> None:
        """Replace the categories in scaled rows (n, d) by the ranks of the levels of `flat`."""
        for category, column in enumerate(self.columns):
            scaled[:, column] = self.ranks(category, flat[:, column].astype(np.float64))

    def write_keys(self, scaled: NDArray[np.float64]) -> None:
        """Replace ranks in scaled rows (n, d) by keys, in place; NaN for no known level."""
        for category, column in enumerate(self.columns):
            keys = np.append(self.keys[self.of(category)], [np.nan, np.nan])
            scaled[:, column] = keys[scaled[:, column].astype(np.intp)]


class LevelCounts:
    """Counts the levels of categories chunk by chunk; the order of the chunks does not matter."""

    def __init__(self, columns: Sequence[int]) -> None:
        """Count in the columns with these indices."""
        self._columns = tuple(columns)
        self._keys = [np.empty(0) for _ in columns]
        self._counts = [np.empty(0, np.int64) for _ in columns]
        self._gaps = np.zeros(len(columns), np.int64)

    def update(self, flat: NDArray[np.generic]) -> None:
        """Add rows (n, d)."""
        for index, column in enumerate(self._columns):
            keys, counts = np.unique(flat[:, column].astype(np.float64), return_counts=True)
            gaps = np.isnan(keys)  # one at most, at the end
            self._gaps[index] += counts[gaps].sum()
            self._add(index, keys[~gaps], counts[~gaps])

    def _add(self, index: int, keys: Keys, counts: Counts) -> None:
        both, places = np.unique(np.concatenate([self._keys[index], keys]), return_inverse=True)
        weights = np.concatenate([self._counts[index], counts])
        self._keys[index] = both
        self._counts[index] = np.bincount(places, weights, len(both)).astype(np.int64)

    def finish(self, most: int) -> Levels:
        """Return the levels; the network tells the `most` frequent ones of each category apart."""
        orders = [
            np.lexsort((keys, -counts))
            for keys, counts in zip(self._keys, self._counts, strict=True)
        ]
        sizes = np.array([len(order) for order in orders], np.int64)
        return Levels(
            columns=np.array(self._columns, np.int64),
            starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            keys=np.concatenate([np.empty(0), *map(np.take, self._keys, orders)]),
            counts=np.concatenate([np.empty(0, np.int64), *map(np.take, self._counts, orders)]),
            gaps=self._gaps.copy(),
            kept=np.minimum(sizes, most),
        )
