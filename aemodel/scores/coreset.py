"""A few points that cover many: greedy k-center (Gonzalez 1985)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

COMPARED = 64  # points whose distances to all others are computed at once


def coreset(points: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Choose `count` of points (n, d) that cover all of them; return their indices, ascending.

    The first is nearest the mean, and each further one is the farthest from all chosen so far. The
    next ones are mostly among those that are farthest now, so one matrix product serves many.
    """
    if len(points) <= count:
        return np.arange(len(points))
    rows = torch.from_numpy(points)
    squares = rows.square().sum(dim=1)
    first = int((rows - rows.mean(dim=0)).square().sum(dim=1).argmin())
    away, chosen = torch.full((len(rows),), torch.inf), [first]
    compared = _Compared(rows, squares, chosen)
    for _ in range(count - 1):
        last = chosen[-1]
        if last not in compared.places:
            farthest = away.topk(min(COMPARED, len(rows))).indices.tolist()
            compared = _Compared(rows, squares, [last, *farthest])
        away = torch.minimum(away, compared.squares_to(last))
        away[last] = -torch.inf
        chosen.append(int(away.argmax()))
    return np.sort(np.array(chosen))


class _Compared:
    """Squared distances of all rows (n, d) to some of them."""

    def __init__(self, rows: Tensor, squares: Tensor, some: list[int]) -> None:
        self.places = {index: place for place, index in enumerate(some)}
        self._to_some = squares + squares[some, None] - 2 * (rows[some] @ rows.T)

    def squares_to(self, index: int) -> Tensor:
        return self._to_some[self.places[index]]
