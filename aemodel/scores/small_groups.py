"""Find rows in small groups: random walks between similar rows that start in one rarely leave it.

    similarity = shared / (shared + differing) of the NEAREST nearest rows of two rows

Rows that share so many of their neighbors are linked (Jarvis & Patrick 1973), and a walk follows
links in proportion to their similarity. Distances do not matter, only which rows are near: so a
small group is found though its rows lie as far from each other as those of large groups do.
"""

from __future__ import annotations

import torch
from torch import Tensor

NEAREST = 15  # rows
LINKED = 0.3  # least similarity of linked rows
DOUBLINGS = 5  # of the steps of a walk: 32 steps
STAY = 1e-3  # share of the usual links that a row has to itself: a row without any stays
FEWEST = 6  # rows of a group; a walk that reaches fewer has no group


def walks_that_stay(points: Tensor, most: int) -> Tensor:
    """Return for each of points (m, width) the share of its walks that end at few rows, (m,).

    Few are the `most` rows at which its walks end most often. 0 for a row without a group.
    Memory and time are those of products of m x m matrices.
    """
    if len(points) <= NEAREST:
        return torch.zeros(len(points))
    ends = _ends(_similarities(points))
    reached = 1 / ends.square().sum(dim=1)
    stay = ends.topk(min(most, len(ends)), dim=1, sorted=False).values.sum(dim=1)
    return torch.where(reached < FEWEST, 0.0, stay)


def _similarities(points: Tensor) -> Tensor:
    """Return the similarities (m, m) of linked rows; 0 for other rows, and for a row and itself."""
    m = len(points)
    nearest = torch.cdist(points, points).fill_diagonal_(-1).topk(NEAREST + 1, largest=False)
    near = torch.zeros(m, m).scatter_(1, nearest.indices, 1.0)  # a row is near itself
    shared = near @ near.T
    similar = shared / (2 * (NEAREST + 1) - shared)
    return similar.masked_fill_(similar < LINKED, 0.0).fill_diagonal_(0.0)


def _ends(similar: Tensor) -> Tensor:
    """Return the probabilities (m, m) that a walk from each row ends at each row."""
    links = similar.sum(dim=1)
    stays = torch.where(links > 0, STAY * links.mean(), 1.0)
    steps = (similar + torch.diag(stays)) / (links + stays)[:, None]
    for _ in range(DOUBLINGS):
        steps = steps @ steps
    return steps
