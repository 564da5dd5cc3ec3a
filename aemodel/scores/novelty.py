"""Novelty: how far a row lies from the nearest clean rows, and how badly it is rebuilt.

It sees what the error alone cannot.
    S = mean_j log(d_j + floor) - LOCAL * mean_j log(a_j + floor) - typical        d_j: distance to
    the j-th nearest reference row
    E = log(error + floor) / 2 - typical                                           a_j: distance
    that is usual around that row
    novelty = exp((S + ERROR * E) / (1 + ERROR))                                   about 1 for a
    clean row, whatever the data

j = 1 to NEIGHBOURS; a_j, the reference row's own distance to its NEIGHBOURS-th neighbour, after the
local outlier factor (Breunig, Kriegel, Ng & Sander 2000). Distances are measured in scaled units,
as errors are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NEIGHBOURS = 5
LOCAL = 0.25
ERROR = 0.25
FLOOR = (
    0.1  # of the usual distance to the nearest reference row: what lies nearer is as good as equal
)
BLOCK_ROWS = 512  # rows compared with the reference at once, fewer where they are wide
BLOCK_VALUES = 2_000_000
LEAST = 1e-12  # stands for no distance and no error at all


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What a bundle keeps for novelty.

    rows (m, *row_shape): clean fit rows in the source's dtype. floor (2,), typical (2,): of
    distances and of errors, measured on validation rows.
    """

    rows: NDArray[Any]
    floor: NDArray[np.float64]
    typical: NDArray[np.float64]


class Novelty:
    """A reference ready to be compared with.

    `points`: its scaled rows (m, d) without gaps, on the device of the model.
    """

    def __init__(self, reference: Reference, points: Tensor) -> None:
        self.points = points
        self.floor, self.error_floor = reference.floor.tolist()
        self.typical, self.typical_error = reference.typical.tolist()
        self.neighbours = min(NEIGHBOURS, len(points) - 1)
        self.block = max(1, min(BLOCK_ROWS, BLOCK_VALUES // self.points.shape[1]))
        self._squares = self.points.square().sum(dim=1, keepdim=True)
        own = torch.cat(
            [
                self._nearest(block, self.neighbours + 1)[0][-1]
                for block in torch.split(self.points, self.block)
            ]
        )
        self._around = torch.log(own + self.floor)

    def nearest(self, scaled: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Distances float64 and places of the `count` nearest points to scaled rows (n, d): (count, n) each, nearest first.

        Rows are taken in blocks of one size, so that a row's bits do not depend on its place.
        """
        size = next(
            size for size in range(min(self.block, len(scaled)), 0, -1) if len(scaled) % size == 0
        )
        found = [self._nearest(block, count) for block in torch.split(scaled, size)]
        return torch.cat([distances for distances, _ in found], dim=1), torch.cat(
            [places for _, places in found], dim=1
        )

    def _nearest(self, rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """They are found by squares and products, fast but blurred where rows are close.

        Distances are then taken exactly.
        """
        rough = torch.addmm(self._squares, self.points, rows.t(), alpha=-2)
        places = rough.topk(count, dim=0, largest=False).indices  # NaN comes last
        exact = (self.points[places] - rows).double().square().sum(dim=2).sqrt()
        distances, order = exact.sort(dim=0, stable=True)
        return distances, places.gather(0, order)

    def parts(self, scaled: Tensor, errors: Tensor) -> tuple[Tensor, Tensor]:
        """S and E, before `typical` is taken off, of scaled rows (n, d) with their errors (n,).

        (n,) float64 each.
        """
        distances, places = self.nearest(scaled, self.neighbours)
        around = self._around[places].mean(dim=0)
        return torch.log(distances + self.floor).mean(dim=0) - LOCAL * around, torch.log(
            errors + self.error_floor
        ) / 2

    def __call__(self, scaled: Tensor, errors: Tensor) -> Tensor:
        """Novelty (n,) float64 of scaled rows (n, d) without gaps and their errors (n,).

        Infinite where either is beyond any number.
        """
        far, badly = self.parts(scaled, errors)
        excess = (far - self.typical + ERROR * (badly - self.typical_error)) / (1 + ERROR)
        return torch.where(excess.isnan(), torch.inf, excess.exp())


def coreset(points: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Places of `count` of points (n, d) that cover them, ascending.

    Greedy k-centre (Gonzalez 1985) from the point nearest the mean.
    """
    if len(points) <= count:
        return np.arange(len(points))
    rows = torch.from_numpy(points)
    squares = rows.square().sum(dim=1)
    chosen = [int((rows - rows.mean(dim=0)).square().sum(dim=1).argmin())]
    away = torch.full((len(rows),), torch.inf)
    for _ in range(count - 1):
        last = chosen[-1]
        away = torch.minimum(away, squares + squares[last] - 2 * (rows @ rows[last]))
        away[last] = -torch.inf
        chosen.append(int(away.argmax()))
    return np.sort(np.array(chosen))
