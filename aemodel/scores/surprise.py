"""Surprise: how rare each value of a row is by itself, summed over the columns.

    category    -log (count + 1) / (rows + levels + 2), a gap being a level
    number      -log min(1, 2 t), t: the smaller of the shares of clean rows at most and at least
                as high
    time        as a category of 24 hours or 7 weekdays

A distance does not see that a level is rare: all levels are equally far apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from aemodel.rows.layout import CATEGORY, NUMBER, PERIODS, Layout
from aemodel.rows.levels import Levels

HOURS, DAYS = 24, 7
ROUNDING = 1e-4  # of an hour in float32
MOST_VALUES = 2_048  # of each number that its tails are measured on
MOST_TAILS = 1_000_000  # values of all numbers together


@dataclass(frozen=True, kw_only=True)
class Margins:
    """The values of each column by itself, in scaled clean rows.

    tails: (a, m) float32, values of each of the `a` numbers, ascending, evenly spaced by rank.
    gaps: (a,) float64, share of rows without a value. clock: (b, 24) int64, how many rows fall in
    each hour or on each weekday, for each of the `b` hours and weekdays.
    """

    tails: NDArray[np.float32]
    gaps: NDArray[np.float64]
    clock: NDArray[np.int64]

    @classmethod
    def none(cls) -> Margins:
        """For a table of numbers only, whose rows have no surprise."""
        return cls(
            tails=np.empty((0, 0), np.float32),
            gaps=np.empty(0),
            clock=np.empty((0, HOURS), np.int64),
        )

    @classmethod
    def of(cls, scaled: NDArray[np.float32], layout: Layout) -> Margins:
        """Measure scaled clean rows (n, d), NaN where a value is missing."""
        numbers = scaled[:, list(layout.of_kind(NUMBER))]
        count = max(1, min(len(scaled), MOST_VALUES, MOST_TAILS // max(1, numbers.shape[1])))
        times = [_by_hour(scaled[:, i], layout.kinds[i]) for i in layout.of_kind(*PERIODS)]
        return cls(
            tails=np.array([_quantiles(column, count) for column in numbers.T], np.float32).reshape(
                -1, count
            ),
            gaps=np.isnan(numbers).mean(axis=0, dtype=np.float64),
            clock=np.array(times, np.int64).reshape(-1, HOURS),
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

    def __init__(self, margins: Margins, levels: Levels, layout: Layout) -> None:
        self.layout = layout
        self._tails = torch.from_numpy(margins.tails.astype(np.float64))
        self._gaps = -np.log(np.maximum(margins.gaps, 1 / (2 + margins.tails.shape[1])))
        self._clock = [
            _surprises(row, int(PERIODS[layout.kinds[i]]))
            for row, i in zip(margins.clock, layout.of_kind(*PERIODS), strict=True)
        ]
        self._levels = [_level_surprises(levels, i) for i in range(len(levels.columns))]

    def columns(self, scaled: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the surprise of each value of scaled rows (n, d), NaN where one is missing."""
        found = np.zeros(scaled.shape)
        numbers = list(self.layout.of_kind(NUMBER))
        found[:, numbers] = self._of_numbers(scaled[:, numbers])
        for column, table in zip(self.layout.of_kind(CATEGORY), self._levels, strict=True):
            found[:, column] = table[scaled[:, column].astype(np.intp)]
        for column, table in zip(self.layout.of_kind(*PERIODS), self._clock, strict=True):
            turns = scaled[:, column].astype(np.float64)
            bins = _bins(np.nan_to_num(turns), self.layout.kinds[column])
            found[:, column] = np.where(np.isnan(turns), table[-1], table[bins])
        return found

    def _of_numbers(self, scaled: NDArray[np.float32]) -> NDArray[np.float64]:
        if not scaled.shape[1]:
            return np.zeros(scaled.shape)
        values = torch.from_numpy(scaled.T.astype(np.float64)).contiguous()
        size = self._tails.shape[1]
        not_above = torch.searchsorted(self._tails, values, right=True)
        not_below = size - torch.searchsorted(self._tails, values)
        tail = (torch.minimum(not_above, not_below) + 1).double() / (size + 1)
        found = -torch.log((2 * tail).clamp_max(1)).numpy().T
        return np.asarray(np.where(np.isnan(scaled), self._gaps, found))


def _surprises(counts: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    """Return the surprise of each of `size` bins, and last that of a gap."""
    total = counts.sum() + size + 1
    return np.asarray(-np.log(np.append(counts[:size] + 1, 1) / total))


def _level_surprises(levels: Levels, category: int) -> NDArray[np.float64]:
    """Return the surprise of a category by rank: of its levels, a gap, and an unseen level."""
    counts = np.append(levels.counts[levels.of(category)], [levels.gaps[category], 0]) + 1
    return np.asarray(-np.log(counts / counts.sum()))
