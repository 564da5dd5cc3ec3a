"""Levels in points: squared distances between levels come from tables, not from one-hot values.

A point (n, a + k) has `a` values as they are, and for each of k categories where its level lies
among those that the network tells apart, "other" and "missing"; last comes a level that no fit row
has. Two levels of a category are as far apart as if each had an axis of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


class PointLevels:
    """The levels in points with `n_values` values before them.

    sizes: (k,), levels of each category with "other" and "missing". weights: (width + k,), how far
    each value lies from 0 on its axis, see `Expansion.points`.
    """

    def __init__(self, n_values: int, sizes: Sequence[int], weights: Tensor) -> None:
        self.n_values, device = n_values, weights.device
        known, unseen = weights[n_values:].double().tensor_split([sum(sizes)])
        blocks = known.split_with_sizes(list(sizes))
        self._away = [torch.cat(pair) for pair in zip(blocks, unseen[:, None], strict=True)]
        self._tables = [_squares(away) for away in self._away]
        self.sizes = [len(away) for away in self._away]
        counts = torch.tensor(self.sizes, dtype=torch.int64, device=device)
        self._counts, self._firsts = counts, counts.cumsum(0) - counts
        self._cells = (counts**2).cumsum(0) - counts**2
        self._flat = torch.cat([table.flatten() for table in self._tables])
        self.most = sum(float(table.max()) for table in self._tables)

    def codes(self, points: Tensor) -> Tensor:
        """Return the levels (n, k) int64 of points (n, a + k)."""
        return points[:, self.n_values :].long()

    def rows(self, codes: Tensor) -> Tensor:
        """Return which rows of `table` belong to levels (n, k)."""
        return codes + self._firsts

    def table(self, codes: Tensor) -> Tensor:
        """Return the squared distances of each level of each category to levels (m, k).

        (levels, m) float64. The distance of a point to all m is the sum of k rows.
        """
        columns = zip(self._tables, codes.t(), strict=True)
        return torch.cat([table[:, column] for table, column in columns])

    def apart(self, codes: Tensor, others: Tensor) -> Tensor:
        """Return the squared distances (...) float64 between levels (..., k)."""
        return self._flat[self._cells + codes * self._counts + others].sum(dim=-1)

    def one_hot(self, points: Tensor) -> Tensor:
        """Return points with an axis for each level: (n, a + levels)."""
        codes = self.codes(points)
        blocks = [
            functional.one_hot(column, len(away)).to(points) * away.to(points)
            for column, away in zip(codes.t(), self._away, strict=True)
        ]
        return torch.cat([points[:, : self.n_values], *blocks], dim=1)


def _squares(away: Tensor) -> Tensor:
    """Return the squared distances (s, s) between points at `away` (s,), each on its own axis."""
    squares = away.square()
    return (squares[:, None] + squares).fill_diagonal_(0)
