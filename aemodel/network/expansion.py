"""Columns of several kinds at both ends of a network.

At the input, a number is one value, an hour or weekday a point on a circle, and a category one
value for each level. At the output, a category is one logit for each level. The values of a row
come in this order: numbers, cosines, sines, categories. An entity has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from aemodel.rows.layout import ENTITY, NUMBER, PERIODS
from aemodel.rows.levels import Levels

EXTRA = 2  # values of a category for all other levels, and for a gap


class Expansion:
    """Expands scaled rows (..., d) to what a network sees, and compares its outputs with them."""

    def __init__(self, kinds: Sequence[str], levels: Levels, device: torch.device | str) -> None:
        """Expand columns of these kinds (d,)."""
        self.device = device
        categories: list[int] = levels.columns.tolist()
        numbers = [i for i, kind in enumerate(kinds) if kind == NUMBER]
        circles = [i for i, kind in enumerate(kinds) if kind in PERIODS]
        parts = map(self._tensor, (categories, numbers, circles))
        self._categories, self._numbers, self._circles = parts
        self.sizes: list[int] = (levels.kept + EXTRA).tolist()
        self._levels, self._kept = self._tensor(levels.sizes), self._tensor(levels.kept)
        self._firsts = self._tensor([sum(self.sizes[:i]) for i in range(len(self.sizes))])
        owners = [category for category, size in enumerate(self.sizes) for _ in range(size)]
        self._owners = self._tensor(owners)  # the category of each level
        self._unseen = math.log(levels.rows + 2)
        self.n_columns = len(kinds)
        entities = [i for i, kind in enumerate(kinds) if kind == ENTITY]
        self._n_entities = len(entities)
        self._order = self._tensor([*numbers, *circles, *categories, *entities]).argsort()

    def _tensor(self, values: object) -> Tensor:
        return torch.as_tensor(values, dtype=torch.int64, device=self.device)

    @property
    def n_numbers(self) -> int:
        """Leading values of an expanded row that come from numbers."""
        return len(self._numbers)

    @property
    def first_level(self) -> int:
        """Where the values of the categories begin."""
        return len(self._numbers) + 2 * len(self._circles)

    @cached_property
    def width(self) -> int:
        """Values of an expanded row."""
        return self.first_level + sum(self.sizes)

    def __call__(self, scaled: Tensor) -> Tensor:
        """Expand scaled rows (..., d) without NaN to (..., width)."""
        slots, seen = self._slots(scaled)
        levels = scaled.new_zeros(*scaled.shape[:-1], sum(self.sizes))
        levels.scatter_(-1, slots, seen.to(scaled.dtype))
        return torch.cat([*self._values(scaled), levels], dim=-1)

    def points(self, scaled: Tensor, weights: Tensor) -> Tensor:
        """Return scaled rows (n, d) without NaN as points to take distances of.

        (n, first_level + k), see `aemodel.network.point_levels`. weights: (width + k,), factors on
        the expanded row and on one value for each of k categories that is 1 for a level that no fit
        row has.
        """
        values = torch.cat(self._values(scaled), dim=-1)
        slots, seen = self._slots(scaled)
        levels = torch.where(seen, slots - self._firsts, self._kept + EXTRA)
        return torch.cat([values * weights[: self.first_level], levels.to(scaled)], dim=-1)

    def _values(self, scaled: Tensor) -> list[Tensor]:
        """Return the values before those of the categories: numbers, cosines, sines."""
        angles = self._angles(scaled)
        return [scaled.index_select(-1, self._numbers), angles.cos(), angles.sin()]

    def _angles(self, scaled: Tensor) -> Tensor:
        return scaled.index_select(-1, self._circles) * (2 * math.pi)

    def _slots(self, scaled: Tensor) -> tuple[Tensor, Tensor]:
        """Return where each category's level lies (..., k), and whether fit rows have it."""
        ranks = scaled.index_select(-1, self._categories).long()
        slots = torch.where(ranks < self._kept, ranks, self._kept)
        slots = torch.where(ranks == self._levels, self._kept + 1, slots)
        return slots + self._firsts, ranks <= self._levels

    def slots_of(self, marked: Tensor) -> Tensor:
        """Mark the values (..., width) of marked columns (..., d), none of them a category."""
        numbers = marked.index_select(-1, self._numbers)
        circles = marked.index_select(-1, self._circles)
        levels = marked.new_zeros(*marked.shape[:-1], sum(self.sizes))
        return torch.cat([numbers, circles, circles, levels], dim=-1)

    def finish(self, outputs: Tensor) -> Tensor:
        """Turn the logits of each category in outputs (..., width) into log probabilities."""
        logs = [functional.log_softmax(block, dim=-1) for block in self._blocks(outputs)]
        return torch.cat([outputs[..., : self.first_level], *logs], dim=-1)

    def _blocks(self, outputs: Tensor) -> Sequence[Tensor]:
        """Return the values of each category."""
        return outputs[..., self.first_level :].split_with_sizes(self.sizes, dim=-1)

    def errors(self, finished: Tensor, scaled: Tensor) -> Tensor:
        """Return the error of each column, (..., d), of finished outputs (..., width).

        A number: (x - x~)^2, NaN where x is. A time: the squared distance of two points on the
        circle. A category: -log p(level); for a level that no fit row has, log(rows + 2). An
        entity: NaN.
        """
        slots, seen = self._slots(scaled)
        surprises = -finished[..., self.first_level :].gather(-1, slots)
        return self._errors(finished, scaled, torch.where(seen, surprises, self._unseen))

    def errors_of_logits(self, outputs: Tensor, scaled: Tensor) -> Tensor:
        """Return the `errors` (..., d) of outputs (..., width) that are not finished."""
        if not self.sizes:
            return self.errors(outputs, scaled)
        slots, seen = self._slots(scaled)
        levels = outputs[..., self.first_level :]
        apply: Callable[..., Tensor] = _Surprises.apply  # torch leaves its type open
        surprises = apply(levels, slots, self._owners, self.sizes)
        return self._errors(outputs, scaled, torch.where(seen, surprises, self._unseen))

    def _errors(self, outputs: Tensor, scaled: Tensor, surprises: Tensor) -> Tensor:
        """Return the errors (..., d); surprises: (..., k), those of the categories."""
        numbers = scaled.index_select(-1, self._numbers)
        squares = (outputs[..., : self.n_numbers] - numbers).square()
        angles = self._angles(scaled)
        cosines, sines = outputs[..., self.n_numbers : self.first_level].chunk(2, dim=-1)
        away = (cosines - angles.cos()).square() + (sines - angles.sin()).square()
        entities = scaled.new_full((*scaled.shape[:-1], self._n_entities), torch.nan)
        by_kind = torch.cat([squares, away, surprises, entities], dim=-1)
        return by_kind.index_select(-1, self._order)

    def residuals(self, finished: Tensor, scaled: Tensor, rebuilt: Tensor) -> Tensor:
        """Return the square roots of `errors` (..., d), of a number with the sign of x - x~."""
        sizes = self.errors(finished, scaled).sqrt()
        signs = torch.ones_like(sizes)
        signs[..., self._numbers] = torch.sign(scaled - rebuilt)[..., self._numbers]
        return signs * sizes

    def usual_errors(self, scaled: Tensor) -> Tensor:
        """Return each column's mean error (d,) if every row is rebuilt as the mean of all.

        scaled: (n, d), NaN where a value is missing; missing values do not count.
        """
        known = torch.where(scaled.isnan(), scaled.nanmean(dim=0), scaled).nan_to_num()
        mean = self(known).mean(dim=0)
        mean[self.first_level :] = mean[self.first_level :].clamp_min(1 / (len(scaled) + 1)).log()
        return self.errors(mean.expand(len(scaled), -1), scaled).nanmean(dim=0).nan_to_num()

    def by_column(self, values: Tensor) -> Tensor:
        """Return the sums (n, d) over the values of each column, of `PointLevels.one_hot`.

        They may lie on any device.
        """
        sums = values.new_zeros(len(values), self.n_columns)
        parts = (self._numbers, self._circles, self._categories)
        numbers, circles, categories = (part.to(values.device) for part in parts)
        sums[:, numbers] = values[:, : self.n_numbers]
        sums[:, circles] = sum(values[:, self.n_numbers : self.first_level].chunk(2, dim=1))
        sizes = [size + 1 for size in self.sizes]  # a level that no fit row has is the last
        blocks = values[:, self.first_level :].split_with_sizes(sizes, dim=1)
        if blocks:
            sums[:, categories] = torch.stack([each.sum(dim=1) for each in blocks], dim=1)
        return sums

    def rebuilt(self, finished: Tensor) -> Tensor:
        """Return the scaled rows (..., d) that finished outputs (..., width) stand for.

        A category is its most likely level, of those that the network tells apart.
        """
        rows = finished.new_zeros(*finished.shape[:-1], self.n_columns)
        rows[..., self._numbers] = finished[..., : self.n_numbers]
        cosines, sines = finished[..., self.n_numbers : self.first_level].chunk(2, dim=-1)
        rows[..., self._circles] = torch.remainder(torch.atan2(sines, cosines) / (2 * math.pi), 1)
        best = [
            block[..., : max(1, block.shape[-1] - EXTRA)].argmax(dim=-1)
            for block in self._blocks(finished)
        ]
        if best:
            rows[..., self._categories] = torch.stack(best, dim=-1).to(rows)
        return rows

    def swap(self, scaled: Tensor, share: float, generator: torch.Generator) -> Tensor:
        """Replace a share of the levels in rows (..., n, d) by those of other rows."""
        n = scaled.shape[-2]
        others = torch.randint(n, scaled.shape, generator=generator, device=scaled.device)
        swapped = torch.rand(scaled.shape, generator=generator, device=scaled.device) < share
        chosen = torch.zeros(self.n_columns, dtype=torch.bool, device=scaled.device)
        chosen[self._categories] = True
        return torch.where(swapped & chosen, scaled.gather(-2, others), scaled)


class _Surprises(torch.autograd.Function):
    """-log p (..., n, k) of the levels at `slots` (..., n, k), from logits (..., n, levels).

    Gradients of so many small blocks by torch take several times as long, and so do sums over the
    levels of a row, which lie side by side.
    """

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, slots: Tensor, owners: Tensor, sizes: list[int]
    ) -> Tensor:
        """owners: (levels,), the category of each level. sizes: (k,), levels of each category."""
        columns, places = logits.mT.contiguous(), slots.mT
        most = _of_blocks(torch.amax, columns, sizes)
        ratios = most.index_select(-2, owners)
        torch.sub(columns, ratios, out=ratios).exp_()
        sums = _of_blocks(torch.sum, ratios, sizes)
        ctx.save_for_backward(ratios, sums, places, owners)
        return most.sub_(columns.gather(-2, places)).add_(sums.log()).mT

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        ratios, sums, places, owners = ctx.saved_tensors
        found = (gradient.mT / sums).index_select(-2, owners).mul_(ratios)
        return found.scatter_add_(-2, places, -gradient.mT).mT, None, None, None


def _of_blocks(reduce: Callable[..., Tensor], columns: Tensor, sizes: Sequence[int]) -> Tensor:
    """Reduce the levels of each category in columns (..., levels, n), giving (..., k, n)."""
    blocks = columns.split_with_sizes(list(sizes), dim=-2)
    return torch.stack([reduce(block, dim=-2) for block in blocks], dim=-2)
