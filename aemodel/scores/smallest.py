"""The indices of the smallest values of every column of a matrix, as `Tensor.topk` finds them.

On a CPU, topk copies every column and partially sorts it. Here, the rows form groups, and only the
groups with the smallest minima are searched: the k smallest values of a column lie in the k groups
with the smallest minima.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def smallest(values: Tensor, count: int) -> Tensor:
    """Find the `count` smallest of values (m, n) in each column: their rows (count, n), ascending.

    The same as `values.topk(count, dim=0, largest=False).indices`, where NaN comes last.
    """
    width = int(math.sqrt(len(values) / (count + 1)))  # as many minima as values in their groups
    if values.device.type != "cpu" or width < 2 * count:  # topk is as fast
        return values.topk(count, dim=0, largest=False).indices
    places, unsure = _search_groups(values, count, width)
    if unsure.any():
        columns = unsure.nonzero()[:, 0]
        places[:, columns] = values[:, columns].topk(count, dim=0, largest=False).indices
    return places


def _search_groups(values: Tensor, count: int, width: int) -> tuple[Tensor, Tensor]:
    """Return the rows (count, n) as `smallest` does, and which columns (n,) it may be wrong in.

    These are columns with NaN, which hides what is smaller in its group, and those where two of
    the smallest values are equal, of which topk may choose or place either first.
    """
    whole = len(values) // width * width
    groups = values[:whole].view(-1, width, values.shape[1])
    minima = groups.amin(dim=1)
    chosen = _order(minima, count + 1)
    rows = chosen[:, None] * width + torch.arange(width)[None, :, None]
    rest = torch.arange(whole, len(values))[:, None].expand(-1, values.shape[1])
    candidates = torch.cat([rows.flatten(0, 1), rest])
    found = values.gather(0, candidates)
    order = _order(found, count + 1)
    best = found.gather(0, order)
    unsure = minima.isnan().any(dim=0) | (best.diff(dim=0) > 0).logical_not().any(dim=0)
    return candidates.gather(0, order[:count]), unsure


def _order(values: Tensor, count: int) -> Tensor:
    """Return the rows (count, n) of the smallest of few values (m, n), ascending."""
    return values.t().contiguous().topk(count, dim=1, largest=False).indices.t()
