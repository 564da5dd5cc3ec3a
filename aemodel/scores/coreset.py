"""A few points that cover many: greedy k-center (Gonzalez 1985)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from aemodel.network.point_levels import PointLevels
from aemodel.network.products import product

COMPARED = 64  # points whose distances to all others are computed at once


def coreset(
    points: NDArray[np.float32], count: int, levels: PointLevels | None = None
) -> NDArray[np.intp]:
    """Choose `count` of points (n, d) that cover all of them; return their indices, ascending.

    levels: of points that have some.

    The first is nearest the mean, and each further one is the farthest from all chosen so far. The
    next ones are mostly among those that are farthest now, so one matrix product serves many.
    """
    if len(points) <= count:
        return np.arange(len(points))
    rows = torch.from_numpy(points)
    first = _nearest_the_mean(rows if levels is None else levels.one_hot(rows))
    away, chosen = np.full(len(rows), np.inf, np.float32), [first]
    distances = _Distances(rows, levels)
    compared: dict[int, NDArray[np.float32]] = {}
    for _ in range(count - 1):
        last = chosen[-1]
        if last not in compared:
            farthest = torch.from_numpy(away).topk(min(COMPARED, len(rows))).indices.tolist()
            compared = distances.to([last, *farthest])
        np.minimum(away, compared[last], out=away)
        away[last] = -np.inf
        chosen.append(int(away.argmax()))
    return np.sort(np.array(chosen))


def _nearest_the_mean(rows: Tensor) -> int:
    return int((rows - rows.mean(dim=0)).square().sum(dim=1).argmin())


class _Distances:
    """Squared distances of all rows (n, d) to some of them."""

    def __init__(self, rows: Tensor, levels: PointLevels | None) -> None:
        self._levels = levels
        self._values = rows if levels is None else rows[:, : levels.n_values].contiguous()
        self._squares = self._values.square().sum(dim=1)
        if levels is not None:
            self._codes = levels.codes(rows)
            self._table_rows = levels.table_rows(self._codes)

    def to(self, some: list[int]) -> dict[int, NDArray[np.float32]]:
        """Return the squared distances (n,) to each of some rows, by its index."""
        away = product(self._values[some] * -2, self._values.T)
        away.add_(self._squares).add_(self._squares[some, None])
        if self._levels is not None:
            table = self._levels.table(self._codes[some], away.dtype)
            away += functional.embedding_bag(self._table_rows, table, mode="sum").T
        return dict(zip(some, away.numpy(), strict=True))
