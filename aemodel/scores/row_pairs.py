"""Pairs of values of single rows: how rare they are, and which of the two values is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.scores.pairs import Binning, pair_surprises, pair_tables, paired_columns

LEAST = 1e-9


@dataclass(frozen=True)
class Partner:
    """What a value of a row does not go with.

    column: of the other value. together: known rows with both. expected: as many there would be by
    chance. rows: all known rows.
    """

    column: int
    together: int
    expected: float
    rows: int


class RowPairs:
    """The pairs of values of scaled rows (n, d).

    powers: surprise to some power, (n, d, d), of each pair. together, expected: see `Partner`.
    """

    def __init__(
        self, binning: Binning, counts: NDArray[np.int32], scaled: NDArray[np.float32], power: float
    ) -> None:
        """Look up pairs; counts: see `aemodel.scores.pairs.count_pairs`."""
        n, d = scaled.shape
        self._bins, self._columns = binning(scaled), paired_columns(binning)
        self._fits = {each: np.zeros((n, int(binning.sizes[each]))) for each in self._columns}
        self.powers, self.expected = np.zeros((n, d, d)), np.zeros((n, d, d))
        self.together = np.zeros((n, d, d), np.int64)
        self.rows, counted = 0, set[int]()
        for first, second, table in pair_tables(binning, counts):
            self.rows = int(table.sum())
            by_chance = np.outer(table.sum(axis=1), table.sum(axis=0)) / max(1, self.rows)
            self._add(
                (first, second), (table.astype(float), by_chance, pair_surprises(table) ** power)
            )
            if first not in counted:
                self._add_frequency(first, table.sum(axis=1))
            if second not in counted:
                self._add_frequency(second, table.sum(axis=0))
            counted |= {first, second}

    def _add(self, pair: tuple[int, int], tables: Sequence[NDArray[np.float64]]) -> None:
        first, second = pair
        own, other = self._bins[:, first], self._bins[:, second]
        for store, table in zip((self.together, self.expected, self.powers), tables, strict=True):
            store[:, first, second] = store[:, second, first] = table[own, other]
        together, by_chance, _ = tables
        fits = np.log((together + 1) / (by_chance + 1))
        fits[-1], fits[:, -1] = 0.0, 0.0
        self._fits[first] += fits[:, other].T
        self._fits[second] += fits[own]

    def _add_frequency(self, column: int, counts: NDArray[np.integer]) -> None:
        self._fits[column] += np.log((counts + 1) / (counts.sum() + len(counts)))

    def by_column(self) -> NDArray[np.float64]:
        """Return what pairs contribute to each column, (n, d).

        A pair counts for either column in proportion to how much better another value would fit
        all other values of the row (by naive Bayes).
        """
        better = np.full(self.powers.shape[:2], LEAST)
        for column, fits in self._fits.items():
            own = fits[np.arange(len(fits)), self._bins[:, column]]
            known = fits[:, :-2] if fits.shape[1] > 2 else fits
            better[:, column] += (known.max(axis=1) - own).clip(0)
        share = better[:, :, None] / (better[:, :, None] + better[:, None, :])
        return np.asarray((2 * self.powers * share).sum(axis=2))

    def partner(self, row: int, column: int) -> Partner | None:
        """Return what the value of a row in a column goes with worst; None if nothing is rare."""
        other = int(self.powers[row, column].argmax())
        if not self.powers[row, column, other]:
            return None
        together, expected = self.together[row, column, other], self.expected[row, column, other]
        return Partner(other, int(together), float(expected), self.rows)
