"""One sensor in an event, in data units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
FLAT = 1e-6  # change from row to row, in spreads, of a value that stands still


class Stretch(NamedTuple):
    """Rows from `start` up to `stop`."""

    start: int
    stop: int

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.stop - self.start


@dataclass(frozen=True)
class SensorView:
    """A sensor's values (n,) with context; the event is rows `start` to `stop`. NaN is a gap.

    low, high: the clean 1 and 99 % quantiles. spread: the clean standard deviation.
    usual (f,): root mean square, when clean, of the Haar coefficients at each fine scale.
    """

    name: str
    values: Vector
    expected: Vector
    start: int
    stop: int
    low: float
    high: float
    spread: float
    usual: Vector

    @property
    def width(self) -> float:
        """Width of the clean band, or the spread where that is wider."""
        return max(self.high - self.low, self.spread)

    def missing(self) -> Stretch:
        """Return the longest gap in the event."""
        return longest(np.isnan(self.values), self.start, self.stop)

    def still(self) -> Stretch:
        """Return the longest rows of the event without any change; empty if others match it."""
        same = np.abs(np.diff(self.values, prepend=np.nan)) <= FLAT * self.spread
        found = longest(same, self.start, self.stop)
        before = longest(same, 0, self.start).rows
        after = longest(same, self.stop, len(same)).rows
        if found.rows <= 2 * max(before, after):
            return Stretch(self.start, self.start)
        return Stretch(found.start - 1, found.stop)

    def beyond(self, margin: float) -> Vector:
        """Return how far (n,) values lie above (+) or below (-) the clean band; 0 is within.

        margin: in widths of the band, within which values count as inside.
        """
        inside = margin * self.width
        above = np.where(self.values > self.high + inside, self.values - self.high, 0)
        return np.where(self.values < self.low - inside, self.values - self.low, above)


def outside(view: SensorView, *, margin: float, gap: int) -> Stretch:
    """Return the stretch outside of the clean band that is farthest out in sum.

    Stretches less than `gap` rows apart are one.
    """
    away = np.abs(view.beyond(margin)[view.start : view.stop])
    rows = np.flatnonzero(away)
    if not len(rows):
        return Stretch(view.start, view.start)
    groups = np.split(rows, np.flatnonzero(np.diff(rows) > gap) + 1)
    best = max(groups, key=lambda group: float(away[group].sum()))
    return Stretch(view.start + int(best[0]), view.start + int(best[-1]) + 1)


def longest(holds: NDArray[np.bool_], start: int, stop: int) -> Stretch:
    """Return the longest run of rows that begins between `start` and `stop`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], holds[start:stop], [False]])))
    if not len(edges):
        return Stretch(start, start)
    runs = edges.reshape(-1, 2)
    first, last = runs[(runs[:, 1] - runs[:, 0]).argmax()].tolist()
    return Stretch(start + first, start + last)
