"""Pairs of values: how much rarer two values are together than they would be by chance.

    v = sqrt(l * r)
    l = -log ((together + 1) / (first * second / rows + 1)), at least 0
    r = -log of the share of known rows with an l of this pair of columns that is at least as high

together, first, second: known rows with both values, with the first, with the second. For r, each
known row is judged as if it had not been counted: where most pairs occur once, a new pair is
ordinary; r tells that. Where columns hardly depend on each other, no l is high, but some r always
are. Known rows are those that novelty compares with or that these stand for. Values are counted in
bins: the most frequent levels, eighths of the numbers, hours, weekdays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.rows.layout import CATEGORY, NUMBER, PERIODS, Layout
from aemodel.rows.levels import Levels

MOST_LEVELS = (512, 256, 128, 64, 32)  # of a category: as many as MOST_CELLS allows
EIGHTHS = 8
MOST_COLUMNS = 100
MOST_CELLS = 2_000_000  # of all pairs together
ROUNDING = 1e-9  # of logs of equal ratios
PAIRS_AT_ONCE = 256  # pairs of columns that are looked up together


@dataclass(frozen=True)
class Binning:
    """How the values of scaled columns (d,) fall into bins.

    bins: (d,), their numbers; of each column, the last but one is for gaps, and the last for
    values that no pair counts. edges: (d, 7) float32, between the eighths of a number.
    """

    layout: Layout
    sizes: NDArray[np.int64]
    levels: Sequence[int]
    edges: NDArray[np.float32]

    @classmethod
    def of(cls, layout: Layout, levels: Levels, tails: NDArray[np.float32]) -> Binning:
        """Bin the columns of a layout; tails: see `aemodel.scores.surprise.Margins`."""
        most = _most_levels(layout, levels.sizes)
        known = [min(most, size) for size in levels.sizes.tolist()]
        sizes = np.full(len(layout.kinds), EIGHTHS)
        for column in layout.of_kind(*PERIODS):
            sizes[column] = int(PERIODS[layout.kinds[column]])
        sizes[list(layout.of_kind(CATEGORY))] = known
        edges = np.zeros((len(layout.kinds), EIGHTHS - 1), np.float32)
        places = np.linspace(0, tails.shape[1] - 1, EIGHTHS + 1)[1:-1].round().astype(np.intp)
        edges[list(layout.of_kind(NUMBER))] = tails[:, places] if len(tails) else 0
        return cls(layout, sizes + 2, levels.sizes.tolist(), edges)

    def __call__(self, scaled: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the bins (n, d) of scaled rows (n, d), NaN where a value is missing."""
        found = np.empty(scaled.shape, np.int64)
        for column in self.layout.of_kind(NUMBER):
            found[:, column] = np.searchsorted(self.edges[column], scaled[:, column], side="right")
        for column in self.layout.of_kind(*PERIODS):
            size = self.sizes[column] - 2
            found[:, column] = np.clip(np.nan_to_num(scaled[:, column]) * size + 1e-4, 0, size - 1)
        found = np.where(np.isnan(scaled), self.sizes - 2, found)
        for rank, column in enumerate(self.layout.of_kind(CATEGORY)):
            found[:, column] = self._of_levels(rank, column, scaled[:, column])
        return found

    def _of_levels(self, rank: int, column: int, ranks: NDArray[np.float32]) -> NDArray[np.int64]:
        none, gap = self.sizes[column] - 1, self.sizes[column] - 2
        kept = np.where(ranks < gap, ranks, none)
        return np.asarray(np.where(ranks == self.levels[rank], gap, kept), np.int64)


def _most_levels(layout: Layout, sizes: NDArray[np.int64]) -> int:
    """Return how many levels of each category are counted, so that all pairs fit in MOST_CELLS."""
    others = [EIGHTHS] * (len(layout.features) - len(sizes))
    for most in MOST_LEVELS:
        bins = np.concatenate([np.minimum(sizes, most), others]) + 2
        if (bins.sum() ** 2 - (bins**2).sum()) / 2 <= MOST_CELLS:
            return most
    return MOST_LEVELS[-1]


def paired_columns(binning: Binning) -> list[int]:
    """Return the columns whose pairs are counted: categories first, within MOST_CELLS."""
    layout = binning.layout
    columns = [*layout.of_kind(CATEGORY), *layout.of_kind(*PERIODS), *layout.of_kind(NUMBER)]
    chosen: list[int] = []
    cells, width = 0, 0
    for column in columns[:MOST_COLUMNS]:
        cells += width * int(binning.sizes[column])
        if cells > MOST_CELLS:
            break
        width += int(binning.sizes[column])
        chosen.append(column)
    return sorted(chosen)


def count_pairs(binning: Binning, pieces: Iterable[NDArray[np.float32]]) -> NDArray[np.int32]:
    """Count the pairs of bins in pieces of scaled rows (n, d): flat, by pair of columns."""
    total = sum((_pairs_in(binning, scaled) for scaled in pieces), np.zeros(1, np.int64))
    return total.clip(max=np.iinfo(np.int32).max).astype(np.int32)


def _pairs_in(binning: Binning, scaled: NDArray[np.float32]) -> NDArray[np.int64]:
    bins, columns = binning(scaled), paired_columns(binning)
    counts = [np.empty(0, np.int64)]
    for place, first in enumerate(columns):
        for second in columns[place + 1 :]:
            size = int(binning.sizes[second])
            cells = bins[:, first] * size + bins[:, second]
            counts.append(np.bincount(cells, minlength=int(binning.sizes[first]) * size))
    return np.concatenate(counts)


def pair_tables(
    binning: Binning, counts: NDArray[np.int32]
) -> Iterator[tuple[int, int, NDArray[np.int32]]]:
    """Yield each pair of columns with its table: how many known rows have each pair of bins.

    counts: see `count_pairs`.
    """
    start, columns = 0, paired_columns(binning)
    for place, first in enumerate(columns):
        for second in columns[place + 1 :]:
            shape = int(binning.sizes[first]), int(binning.sizes[second])
            stop = start + shape[0] * shape[1]
            yield first, second, counts[start:stop].reshape(shape)
            start = stop


class PairSurprise:
    """Looks up how rare the pairs of values in scaled rows are."""

    def __init__(
        self, binning: Binning, counts: NDArray[np.int32], power: float, without_itself: bool
    ) -> None:
        """Look up surprises to this power; counts, without_itself: see `pair_surprises`."""
        self.binning = binning
        tables = list(pair_tables(binning, counts))
        found = [pair_surprises(table, without_itself).ravel() for _, _, table in tables]
        self._table = np.concatenate([np.empty(0), *found]) ** power
        self._starts = np.cumsum([0, *map(len, found)])[:-1, None]
        self._pairs = np.array([pair for *pair, _ in tables], np.intp).reshape(-1, 2)

    def total(self, scaled: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the sum over all pairs (n,) for scaled rows (n, d)."""
        total = np.zeros(len(scaled))
        for _, found in self._pieces(scaled):
            total += found.sum(axis=0)
        return total

    def add_to(self, totals: NDArray[np.float64], scaled: NDArray[np.float32]) -> None:
        """Add each pair's surprise to both of its columns in totals (n, d)."""
        sums = np.zeros(totals.shape[::-1])
        for pairs, found in self._pieces(scaled):
            for (first, second), each in zip(pairs.tolist(), found, strict=True):
                sums[first] += each
                sums[second] += each
        totals += sums.T

    def _pieces(
        self, scaled: NDArray[np.float32]
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
        """Yield pairs of columns (p, 2) with their surprises (p, n)."""
        bins, sizes = np.ascontiguousarray(self.binning(scaled).T), self.binning.sizes[:, None]
        for start in range(0, len(self._pairs), PAIRS_AT_ONCE):
            piece = slice(start, start + PAIRS_AT_ONCE)
            first, second = self._pairs[piece].T
            cells = bins.take(first, axis=0)
            cells *= sizes[second]
            cells += bins.take(second, axis=0)
            cells += self._starts[piece]
            yield self._pairs[piece], self._table.take(cells)


def pair_surprises(counts: NDArray[np.int32], without_itself: bool = False) -> NDArray[np.float64]:
    """Return the surprise of each cell of a pair of columns, 0 for values that none counts.

    counts: (a, b), see `pair_tables`. without_itself: whether one row of each cell is the one that
    is judged, and does not count.
    """
    first, second = counts.sum(axis=1), counts.sum(axis=0)
    rows = max(1, int(first.sum()))
    lacking = np.log((np.outer(first, second) / rows + 1) / (counts + 1))
    held = counts > 0
    others = np.outer(first - 1, second - 1)[held] / max(1, rows - 1)
    known = np.log((others + 1) / counts[held])  # what lacks to a row that is not counted itself
    if without_itself:
        lacking[held] = known
    rare = tail_surprises(lacking, known, counts[held], without_itself)
    found = np.sqrt(np.maximum(lacking, 0.0) * rare)
    found[-1], found[:, -1] = 0.0, 0.0
    return np.asarray(found, np.float64)


def tail_surprises(
    values: NDArray[np.float64],
    known: NDArray[np.float64],
    counts: NDArray[np.integer],
    without_itself: bool = False,
) -> NDArray[np.float64]:
    """Return -log of the share of rows that are at least as high as each of values (any shape).

    known: (m,), values of rows. counts: (m,), how many rows have each. without_itself: whether the
    row of a value is one of them, and does not count.
    """
    order, own = np.argsort(known), int(without_itself)
    at_least = np.append(np.cumsum(counts[order][::-1])[::-1], 0)
    others = np.maximum(at_least - own, 0)[np.searchsorted(known[order], values - ROUNDING)]
    return np.asarray(-np.log((others + 1) / (max(at_least[0] - own, 0) + 1)))
