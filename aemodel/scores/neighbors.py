"""The reference rows nearest to each row: found by a fast bound, with exact distances.

On a CPU, a float32 matrix product gives rough squared distances to all reference rows, which form
groups. The smallest distance of a group is at most t in `count` groups, so reference rows beyond t,
by more than rounding explains, are not among the nearest `count`. Hardly more than these are left,
and their distances are computed in float64. The result depends neither on how the product is
rounded nor on the other rows.

Another device computes the product in float64, which alone tells the nearest, so that its host need
not wait for a number of candidates.

Where points have levels, the product is over their other values. A table holds the squared
distances of every level to those of the rows; for a reference row, those of its levels are added.
"""

from __future__ import annotations

from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from aemodel.devices.places import is_host
from aemodel.network.point_levels import PointLevels
from aemodel.network.products import product

BLOCK_ROWS = 384  # rows compared with the reference at once: what is compared stays in the cache
PAIR_VALUES = 32_768  # of pairs whose distances are computed at once: they stay in the cache
GROUP = 8  # reference rows in a group
SETS = 10  # groups in a set; only the least distance of each set counts for the bound
DEVICE_BLOCK_ROWS = 8_192  # compared with the reference at once on another device
FARTHEST = float(torch.finfo(torch.float32).max)  # squared; beyond it, all are equally far
ROUNDING = 2.0**-24  # of float32

Places = NDArray[np.intp]
Floats = NDArray[np.float32]
F = TypeVar("F", Tensor, Floats)


class NearestRows:
    """Finds the rows of `points` (m, d), float32 without NaN, that are nearest to other rows.

    levels: of these points and of the other rows, if they have any.
    """

    def __init__(self, points: Tensor, levels: PointLevels | None = None) -> None:
        self.points, self._levels = points, levels
        self._width = points.shape[1] if levels is None else levels.n_values
        values = points[:, : self._width]
        self._exact = values.double()
        self._center = values.median(dim=0).values  # the bulk is near it: less is lost to rounding
        away = values - self._center
        self._farthest = float(away.square().sum(dim=1).max().sqrt())
        self._compared = _with_squares(away)
        self._terms = points.shape[1] + 8
        self._most = 0.0 if levels is None else levels.most

    def __call__(self, rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Find the `count` reference rows nearest to each of rows (n, d).

        Return their distances, float64, and their indices: (count, n) each, nearest first. Where a
        row is not finite, so are its distances.
        """
        if is_host(rows.device):
            return self._search(rows, count)
        found = [self._of_block(some, count) for some in torch.split(rows, DEVICE_BLOCK_ROWS)]
        distances, places = (torch.cat(parts, dim=1) for parts in zip(*found, strict=True))
        return distances, places

    def _of_block(self, rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Find the nearest by a product in float64; of equally near ones, the first."""
        away = rows[:, : self._width].double() - self._center
        squares = away.square().sum(dim=1, keepdim=True)
        ones, bounds = torch.ones_like(squares), self._bound_of_terms(squares.sqrt())
        keys = torch.cat([-2 * away, ones, bounds], dim=1) @ self._ordered.t()
        if self._levels is not None:
            keys += self._from_levels(rows, torch.float64).t()
        places = _least_of_groups(keys, count).clamp_max(len(self.points) - 1)
        first = torch.arange(count, device=rows.device)
        places = torch.where(squares <= FARTHEST, places, first).sort(dim=1).values.t()
        distances, order = self.distances(rows, places).sort(dim=0, stable=True)
        return distances, places.gather(0, order)

    @cached_property
    def _ordered(self) -> Tensor:
        """What the product in float64 takes: later rows are farther by more than its rounding."""
        compared = _with_squares(self._exact - self._center)
        later = torch.arange(len(compared), device=compared.device) * (2 * self._terms * 2.0**-53)
        return torch.cat([compared, later[:, None]], dim=1)

    def roughly(self, rows: Tensor, count: int) -> Tensor:
        """Return the indices (count, n) of the nearest reference rows, but for rounding."""
        rough = self._doubled(rows) @ self._compared.t()
        if self._levels is not None:
            rough += self._from_levels(rows, rough.dtype).t()
        rough = rough[:, : len(self.points)]
        return rough.topk(count, dim=1, largest=False).indices.t()

    def distances(self, rows: Tensor, places: Tensor) -> Tensor:
        """Return the distances (k, n) float64 of rows (n, d) to reference rows (k, n)."""
        chosen = self._exact.index_select(0, places.reshape(-1)).view(*places.shape, -1)
        squares = chosen.sub_(rows[:, : self._width]).square_().sum(dim=2)
        if self._levels is not None:
            squares += self._levels.apart(self._levels.codes(rows), self._codes[places])
        return squares.sqrt_()

    @cached_property
    def _codes(self) -> Tensor:
        """The levels (m, k) of the reference rows."""
        assert self._levels is not None
        return self._levels.codes(self.points)

    def _from_levels(self, rows: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the squared distances (m, n) of the levels of all `_compared` to those of rows."""
        assert self._levels is not None
        table = self._levels.table(self._levels.codes(rows), dtype)
        return functional.embedding_bag(self._table_rows, table, mode="sum")

    @cached_property
    def _table_rows(self) -> Tensor:
        """The rows (m, k) of a table that belong to the levels of `_compared`."""
        assert self._levels is not None
        missing = len(self._compared) - len(self.points)
        return functional.pad(self._levels.table_rows(self._codes), (0, 0, 0, missing))

    def _bound_of_terms(self, lengths: F) -> F:
        """Bound the sum of absolute terms of a rough squared distance; lengths (n,) of the rows."""
        return self._farthest * (2 * lengths + self._farthest) + self._most

    def _doubled(self, rows: Tensor) -> Tensor:
        """Return what the product takes: with a reference row, |r|^2 - 2 r x."""
        doubled = rows.new_ones(len(rows), self._width + 1)
        torch.sub(2 * self._center, rows[:, : self._width], alpha=2, out=doubled[:, :-1])
        return doubled

    def _search(self, rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
        owners, places = self._candidates(rows, count)
        distances = self._distances_of_pairs(rows, owners, places)
        counts = np.bincount(owners, minlength=len(rows))
        columns = np.arange(len(owners)) - np.repeat(counts.cumsum() - counts, counts)
        table = np.full((len(rows), counts.max(initial=count)), np.inf)
        theirs = np.zeros(table.shape, np.intp)
        table[owners, columns], theirs[owners, columns] = distances, places
        order = table.argsort(axis=1, kind="stable")[:, :count]
        nearest = [np.take_along_axis(each, order, axis=1).T for each in (table, theirs)]
        return torch.from_numpy(nearest[0]), torch.from_numpy(nearest[1])

    def _distances_of_pairs(
        self, rows: Tensor, owners: Places, places: Places
    ) -> NDArray[np.float64]:
        """Return the distance (c,) of each pair of a row (n, d) and a reference row."""
        points, found = self._exact.numpy(), np.empty(len(owners))
        others = rows[:, : self._width].double().numpy()
        codes = None if self._levels is None else self._levels.codes(rows)
        step = max(1, PAIR_VALUES // rows.shape[1])
        for start in range(0, len(owners), step):
            part = slice(start, start + step)
            away = points.take(places[part], axis=0)
            away -= others.take(owners[part], axis=0)
            np.einsum("ij,ij->i", away, away, out=found[part])
            if self._levels is not None and codes is not None:
                of_pairs = codes[torch.from_numpy(owners[part])]
                chosen = self._codes[torch.from_numpy(places[part])]
                found[part] += self._levels.apart(of_pairs, chosen).numpy()
        return np.sqrt(found)

    def _candidates(self, rows: Tensor, count: int) -> tuple[Places, Places]:
        """Return pairs of a row and a reference row that may be near it: (c,), (c,), by row.

        They are at least `count` for every row.
        """
        doubled = self._doubled(rows)
        squares = doubled[:, :-1].square().sum(dim=1).div_(4).numpy()
        found = [(np.empty(0, np.intp), np.empty(0, np.intp))]
        for start in range(0, len(rows), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            columns = doubled[block].t()
            if self._levels is None:
                rough = product(self._compared, columns)
            else:
                apart = self._from_levels(rows[block], doubled.dtype)
                rough = apart.addmm_(self._compared, columns)
            owners, places = self._near(rough, squares[block], count)
            found.append((start + owners, places))
        owners, places = map(np.concatenate, zip(*found, strict=True))
        return owners, places

    def _near(self, rough: Tensor, squares: Floats, count: int) -> tuple[Places, Places]:
        """Return the candidates of rows with these rough distances (m, n) and squared lengths.

        Reference rows come first: minima over them are then of whole vectors of rows.
        """
        width = GROUP if len(rough) // GROUP >= count else 1
        groups = rough.view(width, -1, len(squares))
        minima = groups.amin(dim=0)
        bounds = self._bounds(_smallest(minima, count), squares)
        beyond = ~np.isfinite(bounds)
        if beyond.any():  # all are infinitely far: take the first
            rough[:, beyond] = torch.arange(len(rough), dtype=rough.dtype)[:, None]
            minima, bounds[beyond] = groups.amin(dim=0), count - 1
        near = np.flatnonzero(minima.numpy() <= bounds)
        at, owners = np.divmod(near, len(squares))
        members = groups.flatten(1).numpy().take(near, axis=1)
        of_group, pairs = np.divmod(np.flatnonzero(members <= bounds[owners]), len(near))
        owners, places = owners[pairs], of_group * len(minima) + at[pairs]
        order = np.argsort(owners.astype(np.uint16), kind="stable")  # a radix sort
        return owners[order], places[order]

    def _bounds(self, reached: Floats, squares: Floats) -> Floats:
        """Return the rough distance (n,) that none of the nearest exceeds: `reached`, and rounding.

        The product of two rows of lengths a and b is wrong by at most gamma * a * b (Higham 2002,
        section 3.1). A reference row as near as d is at most a + d long, and none is longer than
        the longest. squares: (n,), the squared lengths of the rows.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            length, near = np.sqrt(squares), np.sqrt(np.maximum(reached + squares, 0))
            wrong = np.minimum(4 * (length + near) ** 2, self._bound_of_terms(length))
            return np.asarray(reached + 2 * self._terms * ROUNDING * wrong)


def _least_of_groups(keys: Tensor, count: int) -> Tensor:
    """Return the places (n, count) of the `count` smallest of keys (n, m).

    They are in the groups with the smallest minima.
    """
    width = GROUP if keys.shape[1] // GROUP >= count else 1
    minima = keys.view(len(keys), width, -1).amin(dim=1)
    groups = minima.topk(count, dim=1, largest=False).indices
    firsts = torch.arange(0, keys.shape[1], minima.shape[1], device=keys.device)
    members = (groups[:, None] + firsts[:, None]).flatten(1)
    return members.gather(1, keys.gather(1, members).topk(count, dim=1, largest=False).indices)


def _smallest(minima: Tensor, count: int) -> Floats:
    """Return a bound (n,) on the `count` smallest of minima (g, n): that of sets, if they suffice.

    The least distances of nearly all sets are of different groups, so the bound is hardly higher.
    """
    if len(minima) // SETS >= 2 * count:
        minima = minima.view(SETS, -1, minima.shape[1]).amin(dim=0)
    least = np.partition(minima.t().contiguous().numpy(), count - 1, axis=1)
    return np.asarray(least[:, count - 1])


def _with_squares(away: Tensor) -> Tensor:
    """Append the squared length to each row (m, d); infinite ones fill the last set of groups."""
    missing = -len(away) % (GROUP * SETS)
    filled = away.new_zeros(len(away) + missing, away.shape[1] + 1)
    filled[: len(away), :-1] = away
    filled[:, -1] = filled.square().sum(dim=1)
    filled[len(away) :, -1] = torch.inf
    return filled
