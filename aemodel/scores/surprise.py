"""Surprise: how rare each value of a row is, by itself and together with each other value.

    total = (sum over columns of s^POWER + 2 * sum over pairs of columns of v^POWER)^(1 / POWER)

v: see `aemodel.scores.pairs`. s, by kind of column:

    category    -log (count + 1) / (rows + levels + 2), a gap being a level; for a level that no
                fit row has, also -log of the share of rows with a new level, which is that of
                levels with one row (Good 1953)
    number      -log min(1, 2 t), t: the smaller of the shares of clean rows at most and at least
                as high; for a gap, -log of the share of gaps
    time        as a category of 24 hours or 7 weekdays

A distance does not see that a level is rare: all levels are equally far apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aemodel.rows.layout import CATEGORY, NUMBER, PERIODS, Layout
from aemodel.rows.levels import Levels
from aemodel.scores.pairs import Binning, PairSurprise, count_pairs
from aemodel.scores.row_pairs import RowPairs

POWER = 3.0  # a single rare value weighs more than several that are not so rare
LEAST = 1e-3  # is added to the sum of powers
HOURS, DAYS = 24, 7
ROUNDING = 1e-4  # of an hour in float32
MOST_VALUES = 2_048  # of each number that its tails are measured on
MOST_TAILS = 1_000_000  # values of all numbers together


@dataclass(frozen=True, kw_only=True)
class Margins:
    """The values of each column by itself, in scaled clean rows.

    tails: (a, m) float32, values of each of the `a` numbers, ascending, evenly spaced by rank.
    gaps: (a,) float64, share of rows without a value. clock: (b, 24) int64, how many rows fall in
    each hour or on each weekday, for each of the `b` hours and weekdays. pairs: (c,) int32, see
    `aemodel.scores.pairs`.
    """

    tails: NDArray[np.float32]
    gaps: NDArray[np.float64]
    clock: NDArray[np.int64]
    pairs: NDArray[np.int32]

    @classmethod
    def of(
        cls,
        scaled: NDArray[np.float32],
        layout: Layout,
        levels: Levels,
        pieces: Iterable[NDArray[np.float32]],
    ) -> Margins:
        """Measure scaled clean rows (n, d), NaN where a value is missing."""
        numbers = scaled[:, list(layout.of_kind(NUMBER))]
        count = max(1, min(len(scaled), MOST_VALUES, MOST_TAILS // max(1, numbers.shape[1])))
        times = [_by_hour(scaled[:, i], layout.kinds[i]) for i in layout.of_kind(*PERIODS)]
        quantiles = [_quantiles(column, count) for column in numbers.T]
        tails = np.array(quantiles, np.float32).reshape(-1, count)
        return cls(
            tails=tails,
            gaps=np.isnan(numbers).mean(axis=0, dtype=np.float64),
            clock=np.array(times, np.int64).reshape(-1, HOURS),
            pairs=count_pairs(Binning.of(layout, levels, tails), pieces),
        )


def _quantiles(column: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    values = np.sort(column[~np.isnan(column)])
    if not len(values):
        return np.zeros(count, np.float32)
    return values[np.linspace(0, len(values) - 1, count).round().astype(np.intp)]


def _by_hour(column: NDArray[np.float32], kind: str) -> NDArray[np.int64]:
    known = column[~np.isnan(column)].astype(np.float64)
    return np.bincount(_bins(known, kind), minlength=HOURS)


def _bins(turns: NDArray[np.float64], kind: str) -> NDArray[np.intp]:
    """Return the hour or weekday of shares of a period (n,)."""
    period = int(PERIODS[kind])
    offset = 0.5 if period == DAYS else ROUNDING
    return np.clip((turns * period + offset).astype(np.intp), 0, period - 1)


class Surprise:
    """Computes the surprise of scaled rows."""

    def __init__(
        self, margins: Margins, levels: Levels, layout: Layout, *, without_itself: bool = False
    ) -> None:
        """Take what was measured. without_itself: whether rows are among those whose pairs count.

        A row's own pairs do not count then.
        """
        self.layout = layout
        self.n_varied = int((levels.sizes + (levels.gaps > 0) > 1).sum())
        self._tails = torch.from_numpy(margins.tails.astype(np.float64))
        self._at_tails, self._between = _tail_surprises(self._tails)
        self._gaps = -np.log(np.maximum(margins.gaps, 1 / (2 + margins.tails.shape[1])))
        self._clock = [
            _surprises(row, int(PERIODS[layout.kinds[i]]))
            for row, i in zip(margins.clock, layout.of_kind(*PERIODS), strict=True)
        ]
        self._binning, self._counts = Binning.of(layout, levels, margins.tails), margins.pairs
        self._pairs = PairSurprise(self._binning, margins.pairs, POWER, without_itself)
        self._levels = [_level_surprises(levels, i) for i in range(len(levels.columns))]

    def total(self, scaled: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the total surprise (n,) of scaled rows (n, d), NaN where a value is missing."""
        of_columns = (self.columns(scaled) ** POWER).sum(axis=1)
        of_pairs = 2 * self._pairs.total(scaled)
        return np.asarray((of_columns + of_pairs + LEAST) ** (1 / POWER))

    def shares(self, scaled: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what each column contributes to the sum of powers, (n, d)."""
        found = self.columns(scaled) ** POWER
        self._pairs.add_to(found, scaled)
        return found

    def row_pairs(self, scaled: NDArray[np.float32]) -> RowPairs:
        """Return the pairs of values of a few scaled rows (n, d), one by one."""
        return RowPairs(self._binning, self._counts, scaled, POWER)

    def columns(self, scaled: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the surprise of each value by itself, (n, d)."""
        found = np.zeros(scaled.shape)
        numbers = list(self.layout.of_kind(NUMBER))
        found[:, numbers] = self._of_numbers(scaled[:, numbers])
        self.write_levels(scaled, found)
        for column, table in zip(self.layout.of_kind(*PERIODS), self._clock, strict=True):
            turns = scaled[:, column].astype(np.float64)
            bins = _bins(np.nan_to_num(turns), self.layout.kinds[column])
            found[:, column] = np.where(np.isnan(turns), table[-1], table[bins])
        return found

    def write_levels(self, scaled: NDArray[np.float32], found: NDArray[np.floating]) -> None:
        """Write the surprise of each level of scaled rows into the categories of `found` (n, d)."""
        for column, table in zip(self.layout.of_kind(CATEGORY), self._levels, strict=True):
            found[:, column] = table[scaled[:, column].astype(np.intp)]

    def _of_numbers(self, scaled: NDArray[np.float32]) -> NDArray[np.float64]:
        if not scaled.shape[1]:
            return np.zeros(scaled.shape)
        values = torch.from_numpy(scaled.T.astype(np.float64)).contiguous()
        places = torch.searchsorted(self._tails, values)
        at = places.clamp_max(self._tails.shape[1] - 1)
        equal = self._tails.gather(1, at) == values
        found = torch.where(equal, self._at_tails.gather(1, at), self._between[places])
        return np.asarray(np.where(np.isnan(scaled), self._gaps, found.numpy().T))


def _tail_surprises(tails: Tensor) -> tuple[Tensor, Tensor]:
    """Return the surprises of values equal to each of `tails` (a, m), and of others.

    (a, m), and (m + 1,) by how many of the tails are lower.
    """
    size = tails.shape[1]
    lower = torch.arange(size + 1)
    first, last = torch.searchsorted(tails, tails), torch.searchsorted(tails, tails, right=True)
    counts = [torch.minimum(last, size - first), torch.minimum(lower, size - lower)]
    shares = ((count + 1).double() / (size + 1) for count in counts)
    at, between = (-torch.log((2 * share).clamp_max(1)) for share in shares)
    return at, between


def _surprises(counts: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    """Return the surprise of each of `size` bins, and last that of a gap."""
    total = counts.sum() + size + 1
    return np.asarray(-np.log(np.append(counts[:size] + 1, 1) / total))


def _level_surprises(levels: Levels, category: int) -> NDArray[np.float64]:
    """Return the surprise of a category by rank: of its levels, a gap, and an unseen level."""
    known = levels.counts[levels.of(category)]
    counts = np.append(known, [levels.gaps[category], 0]) + 1
    found = -np.log(counts / counts.sum())
    found[-1] -= np.log(((known == 1).sum() + 1) / (levels.rows + 1))
    return np.asarray(found)
