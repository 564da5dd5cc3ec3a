"""A few points that cover many: greedy k-center (Gonzalez 1985)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from aemodel.network.point_levels import PointLevels

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
    away, chosen = torch.full((len(rows),), torch.inf), [first]
    compared = _Compared(rows, chosen, levels)
    for _ in range(count - 1):
        last = chosen[-1]
        if last not in compared.places:
            farthest = away.topk(min(COMPARED, len(rows))).indices.tolist()
            compared = _Compared(rows, [last, *farthest], levels)
        away = torch.minimum(away, compared.squares_to(last))
        away[last] = -torch.inf
        chosen.append(int(away.argmax()))
    return np.sort(np.array(chosen))


def _nearest_the_mean(rows: Tensor) -> int:
    return int((rows - rows.mean(dim=0)).square().sum(dim=1).argmin())


class _Compared:
    """Squared distances of all rows (n, d) to some of them."""

    def __init__(self, rows: Tensor, some: list[int], levels: PointLevels | None) -> None:
        self.places = {index: place for place, index in enumerate(some)}
        values = rows if levels is None else rows[:, : levels.n_values]
        squares = values.square().sum(dim=1)
        self._to_some = squares + squares[some, None] - 2 * (values[some] @ values.T)
        if levels is not None:
            codes = levels.codes(rows)
            table = levels.table(codes[some], rows.dtype)
            self._to_some += functional.embedding_bag(levels.table_rows(codes), table, mode="sum").T

    def squares_to(self, index: int) -> Tensor:
        return self._to_some[self.places[index]]
