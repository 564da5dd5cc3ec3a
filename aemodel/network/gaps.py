"""What networks see in place of gaps, in training and at night: values of similar clean rows.

    weight of a donor = 1 / (1 + apart / usual)^SHARPNESS

    apart: mean squared difference of the values that a row and the donor both have
    usual: mean of `apart` between a donor and the nearest other one

The mean of the donors with these weights (Shepard 1968) changes smoothly with the row, unlike its
nearest donor: where values repeat, that would depend on rounding. With one value in place of all
gaps of a column, such as the median, rows with gaps would lie far from all others.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from aemodel.devices.places import exact_device, is_host
from aemodel.network.expansion import Expansion
from aemodel.rows.scaling import Scaler

SHARPNESS = 8
LEAST_APART = 1e-12
MOST_WEIGHT = 10.0  # of a value in a column with gaps


def gap_mask(values: Tensor) -> Tensor | None:
    """Mark NaN; None without any, which the sum tells at a tenth of the cost."""
    return values.isnan() if values.sum().isnan() else None


def fill_gaps(values: Tensor, fill: Tensor) -> Tensor:
    """Put fill (d,) in place of NaN in values (..., d).

    Return `values` themselves without any; elsewhere than on the host, where a look would wait for
    the device, always a copy.
    """
    gaps = gap_mask(values) if is_host(values.device) else values.isnan()
    return values if gaps is None else torch.where(gaps, fill.to(values), values)


class GapFiller:
    """Fills gaps in the columns that have gaps in the fit rows, of what networks see.

    weights: (d,) float32, one over the share of the donors with a value in each column.
    """

    def __init__(
        self, scaler: Scaler, expansion: Expansion | None, device: torch.device | str
    ) -> None:
        """Compare rows with the donors of `scaler`."""
        self._exact = exact_device(device)
        self._expansion = expansion
        donors = torch.from_numpy(scaler.donors).to(device)
        self._complete = torch.from_numpy(scaler.complete).to(device)
        share = (~donors.isnan()).float().mean(dim=0)
        self.weights = torch.where(self._complete, 1.0, 1 / share.clamp_min(1 / MOST_WEIGHT))
        filled = fill_gaps(donors, torch.from_numpy(scaler.fill))
        seen = filled if expansion is None else expansion(filled)
        missing = self.gaps(donors)
        self._has_value = (~missing).to(self._exact, torch.float64)
        self._values = seen.to(self._exact, torch.float64) * self._has_value
        nearest = self._apart(seen, missing).fill_diagonal_(torch.inf).amin(dim=0)
        self._usual = nearest[nearest.isfinite()].mean().nan_to_num().clamp_min(LEAST_APART)

    @classmethod
    def of(
        cls, scaler: Scaler, expansion: Expansion | None, device: torch.device | str
    ) -> Self | None:
        """Build the filler of a scaler; None if the fit rows have no gaps."""
        return cls(scaler, expansion, device) if len(scaler.donors) else None

    def gaps(self, scaled: Tensor) -> Tensor:
        """Mark what is to be filled (..., width) in what networks see of scaled rows (..., d)."""
        gaps = scaled.isnan() & ~self._complete
        return gaps if self._expansion is None else self._expansion.slots_of(gaps)

    def __call__(self, seen: Tensor, gaps: Tensor) -> Tensor:
        """Fill the marked values of rows (n, width)."""
        near = (1 + self._apart(seen, gaps) / self._usual).pow(-SHARPNESS)
        known = self._has_value.t() @ near
        means = ((self._values.t() @ near) / known).t().to(seen)
        return torch.where(gaps & (known.t() > 0).to(gaps.device), means, seen)

    def _apart(self, seen: Tensor, gaps: Tensor) -> Tensor:
        """Return the mean squared differences (m, n) of donors and rows; infinite without any.

        Rows are columns, see `aemodel.network.inference.run_layers`.
        """
        known = (~gaps).to(self._exact, torch.float64).t()
        values = seen.to(self._exact, torch.float64).t() * known
        squares = self._has_value @ values.square() + self._values.square() @ known
        squares = (squares - 2 * self._values @ values).clamp_min(0)
        both = self._has_value @ known
        return torch.where(both > 0, squares / both, torch.inf)
