"""Novelty: how far a row lies from the nearest clean rows, and how badly it is reconstructed.

It finds anomalies that the reconstruction error alone misses. A clean row scores about 1,
whatever the data.

    novelty = exp((S + ERROR * E) / (1 + ERROR))
    S = mean_j log(d_j + floor) - LOCAL * mean_j log(a_j + floor) - typical
    E = log(error + floor) / 2 - typical

    d_j: distance to the j-th nearest clean row, j = 1 to NEIGHBORS, in scaled units; a reference
         row stands for all of its copies in the clean rows
    a_j: distance of that reference row to its own NEIGHBORS-th neighbor,
         after the local outlier factor (Breunig, Kriegel, Ng & Sander 2000)

With train.trim, the first mean in S is over `far_ranks` too, so that a group of outliers that was
not wholly left out of the clean rows cannot make itself ordinary.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aemodel.network.point_levels import PointLevels
from aemodel.scores.neighbors import NearestRows

NEIGHBORS = 5
MOST_FAR = 16  # ranks of farther neighbors
LOCAL = 0.25
ERROR = 0.25
# Share of the usual distance to the nearest reference row; anything nearer counts as equal.
FLOOR = 0.1
BLOCK_ROWS = 512  # rows with far neighbors at once, fewer if they are wide
BLOCK_VALUES = 2_000_000
SAME = 1e-3  # of the floor; a clean row so near is the scored row itself
LEAST = 1e-12  # lower bound of distances and errors


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What a bundle keeps to compute novelty.

    rows: (m, *row_shape), distinct clean rows in the source's dtype.
    copies: (m,) int64, how often each occurs among the rows that the reference was chosen from.
    floor, typical: (2,) float64, of distances and of errors, measured on validation rows.
    ranks: (r,) int64, farther neighbors whose distances count too, see `far_ranks`; often none.
    held_out: (m,) int64, how many of the copies are validation or calibration rows; none unless
        clean rows are few, see `aemodel.training.reference_rows`.
    itself: what does not count of the nearest row if that is the scored row itself: "row" for one
        copy, "content" for all of them, "" to count it. A bundle does not keep this.
    """

    rows: NDArray[np.generic]
    copies: NDArray[np.int64]
    held_out: NDArray[np.int64]
    floor: NDArray[np.float64]
    typical: NDArray[np.float64]
    ranks: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    itself: str = ""

    @property
    def fitted(self) -> NDArray[np.bool_]:
        """Which rows (m,) occur among the fit rows; all of them if none does."""
        found = self.copies > self.held_out
        return found if found.any() else ~found


def far_ranks(count: int) -> NDArray[np.int64]:
    """Return ranks from NEIGHBORS to half of `count`, evenly spaced, at most MOST_FAR.

    count: the most rows of a group of outliers. Trimming leaves about half of such rows out, so
    farther neighbors of an outlier are mostly ordinary rows.

    >>> far_ranks(20)
    array([ 6,  7,  8,  9, 10])
    """
    half = max(count // 2, NEIGHBORS)
    steps = min(MOST_FAR, half - NEIGHBORS)
    return np.linspace(NEIGHBORS, half, steps + 1)[1:].round().astype(np.int64)


class Novelty:
    """Computes novelty against a reference.

    points: (m, d), the scaled reference rows without NaN, on the device of the model. levels: of
    points that have some.
    """

    def __init__(
        self, reference: Reference, points: Tensor, levels: PointLevels | None = None
    ) -> None:
        self.points = points
        self.floor, self.error_floor = reference.floor.tolist()
        self.typical, self.typical_error = reference.typical.tolist()
        self.neighbors = min(NEIGHBORS, len(points) - 1)
        self._copies = torch.from_numpy(reference.copies.copy()).to(points.device)
        self._has_copies = bool((self._copies > 1).any())
        self._ranks = reference.ranks.tolist()
        width = points.shape[1] if levels is None else levels.width
        self.block = max(1, min(BLOCK_ROWS, BLOCK_VALUES // width))
        self._itself, self._skip = reference.itself, int(bool(reference.itself))
        self.nearest, self._levels = NearestRows(points, levels), levels
        own, *farther = self._own_distances()
        self._around = torch.log(own + self.floor)
        if self._skip:
            self._reach = own + SAME * self.floor
            self._farther_around = torch.log(farther[0] + self.floor)

    def _own_distances(self) -> list[Tensor]:
        """Distances (m,) of reference rows to their last neighbor; the nearest row is itself.

        If a scored row does not count of its neighbors, also to the next one.
        """
        count = min(self.neighbors + 1 + self._skip, len(self.points))
        distances, places = self.nearest(self.points, count)
        reached = self._copies[places].cumsum(dim=0)
        found = []
        for rank in range(self.neighbors, self.neighbors + 1 + self._skip):
            last = (reached <= rank).sum(dim=0).clamp_max(count - 1)
            found.append(distances.gather(0, last[None])[0])
        return found

    def _around_others(self, places: Tensor, distances: Tensor) -> Tensor:
        """Logs (k, n) of the distances of reference rows (k, n) to their last neighbor.

        distances: (k, n), to the scored rows. If these do not count, neighbors are others.
        """
        if not self._skip:
            return self._around[places]
        among = distances <= self._reach[places]
        return torch.where(among, self._farther_around[places], self._around[places])

    def _with_farther(self, near: Tensor, scaled: Tensor) -> Tensor:
        """Extend the mean log distance to the nearest rows, (n,), by those of the far ranks."""
        blocks = torch.split(scaled, _largest_divisor(len(scaled), self.block))
        logs = torch.cat([self._farther(block) for block in blocks], dim=1)
        return (NEIGHBORS * near + logs.sum(dim=0)) / (NEIGHBORS + len(logs))

    def _farther(self, rows: Tensor) -> Tensor:
        """Logs (r, n) of the distances of rows (n, d) to their neighbors of each far rank."""
        count = min(self._ranks[-1] + self._skip, len(self.points))
        places = self.nearest.roughly(rows, count)[self._skip :]
        reached = self._copies[places].cumsum(dim=0)
        last = len(places) - 1
        at = [(reached < rank).sum(dim=0).clamp_max(last) for rank in self._ranks]
        distances = self.nearest.distances(rows, places.gather(0, torch.stack(at)))
        return torch.log(distances + self.floor)

    def parts(self, scaled: Tensor, errors: Tensor) -> tuple[Tensor, Tensor]:
        """Compute S and E without `typical`: (n,) float64 each.

        scaled: (n, d). errors: (n,).
        """
        distances, places, counts = self._neighbors(scaled)
        away = _mean(torch.log(distances + self.floor), counts)
        if self._ranks:
            away = self._with_farther(away, scaled)
        far = away - LOCAL * _mean(self._around_others(places, distances), counts)
        return far, torch.log(errors + self.error_floor) / 2

    def _neighbors(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Find the nearest clean rows of rows (n, d).

        Return their distances and places (k, n), nearest first, and how many copies (k, n) of each
        are among the nearest; None if each has a single one, which is.
        """
        distances, places = self.nearest(rows, min(self.neighbors + self._skip, len(self.points)))
        if not (self._has_copies or self._skip):
            return distances, places, None
        copies = self._copies[places]
        if self._skip:
            own = copies[0] if self._itself == "content" else 1
            copies[0] -= (distances[0] <= SAME * self.floor) * own
        reached = copies.cumsum(dim=0).clamp_max(self.neighbors)
        counts = torch.diff(reached, dim=0, prepend=torch.zeros_like(reached[:1]))
        return distances, places, counts

    def __call__(self, scaled: Tensor, errors: Tensor) -> Tensor:
        """Compute the novelty (n,) float64 of scaled rows (n, d) without NaN.

        errors: (n,), of the same rows. Novelty is infinite where a row or its error overflows.
        """
        far, badly = self.excesses(scaled, errors)
        excess = (far + badly) / (1 + ERROR)
        return torch.where(excess.isnan(), torch.inf, excess.exp())

    def excesses(self, scaled: Tensor, errors: Tensor) -> tuple[Tensor, Tensor]:
        """Compute S and ERROR * E: (n,) each. Their sum ranks rows."""
        far, badly = self.parts(scaled, errors)
        return far - self.typical, ERROR * (badly - self.typical_error)

    def expected(self, scaled: Tensor) -> Tensor:
        """Mean (n, d) float64 of the clean rows nearest to each of scaled rows (n, d) without NaN.

        Of points with levels, the mean of `PointLevels.one_hot`. A row that is nearer weighs more,
        as in the derivative of S: copies / (d_j + floor)^2.
        """
        return torch.cat([self._expected(rows) for rows in torch.split(scaled, self.block)])

    def _expected(self, rows: Tensor) -> Tensor:
        distances, places, counts = self._neighbors(rows)
        weights = (1 if counts is None else counts) / (distances + self.floor).square()
        weights = torch.where(weights.sum(dim=0) > 0, weights, 1.0)  # infinitely far from all
        weights = weights / weights.sum(dim=0)
        return torch.einsum("kn,knd->nd", weights, self._one_hot[places].double())

    @cached_property
    def _one_hot(self) -> Tensor:
        return self.points if self._levels is None else self._levels.one_hot(self.points)


def _mean(values: Tensor, counts: Tensor | None) -> Tensor:
    """Mean (n,) of values (k, n), each of which counts as often as `counts` (k, n) says."""
    if counts is None:
        return values.mean(dim=0)
    return (values * counts).sum(dim=0) / counts.sum(dim=0)


def _largest_divisor(n: int, limit: int) -> int:
    """Find the largest divisor of n, n >= 1, that is at most `limit`."""
    return next(size for size in range(min(limit, n), 0, -1) if n % size == 0)
