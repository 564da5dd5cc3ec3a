"""Levels in points: squared distances between levels come from a table, not from one-hot values.

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
        self.n_values = n_values
        known, unseen = weights[n_values:].tensor_split([sum(sizes)])
        blocks = known.split_with_sizes(list(sizes))
        self._away = [torch.cat(pair) for pair in zip(blocks, unseen[:, None], strict=True)]
        self._squares = torch.cat(self._away).double().square()
        counts = torch.tensor([len(away) for away in self._away])
        owners = torch.arange(len(counts)).repeat_interleave(counts)
        self._firsts = (counts.cumsum(0) - counts).to(weights.device)
        self._owners = owners.to(weights.device)
        self.width = n_values + len(self._squares)
        self.most = sum(2 * float(away.double().square().max()) for away in self._away)

    def codes(self, points: Tensor) -> Tensor:
        """Return the levels (n, k) int64 of points (n, a + k)."""
        return points[:, self.n_values :].long()

    def table_rows(self, codes: Tensor) -> Tensor:
        """Return which rows of `table` belong to levels (n, k)."""
        return codes + self._firsts

    def table(self, codes: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the squared distances of each level of each category to levels (m, k).

        (levels, m). The distance of a point to all m is the sum of k rows.
        """
        rows, squares = self.table_rows(codes).t(), self._squares.to(dtype)
        table = squares[rows].index_select(0, self._owners).add_(squares[:, None])
        return table.scatter_(0, rows, 0.0)

    def apart(self, codes: Tensor, others: Tensor) -> Tensor:
        """Return the squared distances (...) float64 between levels (..., k)."""
        squares = self._squares[self.table_rows(codes)] + self._squares[self.table_rows(others)]
        return squares.masked_fill_(codes == others, 0.0).sum(dim=-1)

    def one_hot(self, points: Tensor) -> Tensor:
        """Return points with an axis for each level: (n, width)."""
        codes = self.codes(points)
        blocks = [
            functional.one_hot(column, len(away)).to(points) * away.to(points)
            for column, away in zip(codes.t(), self._away, strict=True)
        ]
        return torch.cat([points[:, : self.n_values], *blocks], dim=1)
