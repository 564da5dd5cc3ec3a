"""Gaps in rows to fit: the network sees values of similar rows in their place.

With one value, such as the median, in place of all gaps of a column, most prototypes would have
this value, and rebuild all others badly.
"""

from __future__ import annotations

import torch
from torch import Tensor


def gap_mask(values: Tensor) -> Tensor | None:
    """Mark NaN; None without any, which the sum tells at a tenth of the cost."""
    return values.isnan() if values.sum().isnan() else None


def fill_gaps(values: Tensor, fill: Tensor) -> Tensor:
    """Put fill (d,) in place of NaN in values (..., d)."""
    gaps = gap_mask(values)
    return values if gaps is None else torch.where(gaps, fill.to(values), values)


def fill_from_similar(scaled: Tensor, fill: Tensor, *, most: int = 0) -> Tensor:
    """Put in place of NaN in scaled rows (n, d) what the most similar row with a value has.

    Rows are similar if the values that both have are near each other. fill: (d,), for columns
    without values. most: rows that serve, evenly spaced; 0 for all.
    """
    gaps = gap_mask(scaled)
    if gaps is None:
        return scaled
    donors = scaled[:: -(-len(scaled) // most) if most else 1]
    filled, has_value = torch.where(gaps, fill, scaled), ~donors.isnan()
    lacking = gaps.any(dim=1).nonzero().flatten()
    apart = _mean_squares_apart(scaled[lacking], donors)
    for column in gaps.any(dim=0).nonzero().flatten().tolist():
        serving = has_value[:, column].nonzero().flatten()
        rows = gaps[lacking, column]
        if len(serving):
            nearest = serving[apart[rows][:, serving].argmin(dim=1)]
            filled[lacking[rows], column] = donors[nearest, column]
    return filled


def _mean_squares_apart(rows: Tensor, others: Tensor) -> Tensor:
    """Return the mean squared differences (n, m) of the values that rows and others both have.

    Infinite where they have none.
    """
    in_rows, in_others = (~rows.isnan()).to(rows), (~others.isnan()).to(rows)
    known, theirs = rows.nan_to_num(), others.nan_to_num()
    squares = known.square() @ in_others.T - 2 * known @ theirs.T + in_rows @ theirs.square().T
    both = in_rows @ in_others.T
    return torch.where(both > 0, squares / both.clamp_min(1), torch.inf)
