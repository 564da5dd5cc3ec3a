"""The networks of a model: batches of scaled rows to latents, reconstructions, and errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aemodel.devices.places import exact_device, is_host
from aemodel.network.dense import finish_output
from aemodel.network.expansion import Expansion
from aemodel.network.gaps import GapFiller
from aemodel.network.inference import run_layers
from aemodel.rows.scaling import Scaler
from aemodel.settings import ModelSettings

Halves = tuple[Sequence[nn.Module], Sequence[nn.Module]]  # layers of an encoder and a decoder
MISSING = 4.0  # scaled residual of a value that is never missing in clean rows


class Compared(NamedTuple):
    """The first member's latents (n, k), errors (n,) float64, each member's outputs (n, width).

    With columns of several kinds, outputs are not finished, see `aemodel.network.expansion`.
    """

    latents: Tensor
    errors: Tensor
    outputs: list[Tensor]


@dataclass(frozen=True)
class Rebuilt:
    """Rows (n, *row_shape) and what the networks make of them in one pass.

    scaled, rebuilt: (n, d) float32, the rows and their reconstructions in scaled units.
    residuals: (n, d) float32, their difference, NaN where a value is missing; for a time or a
        category, the square root of its error.
    latents: (n, k) float32. errors: (n,) float64.
    """

    rows: NDArray[np.generic]
    scaled: NDArray[np.float32]
    rebuilt: NDArray[np.float32]
    residuals: NDArray[np.float32]
    latents: NDArray[np.float32]
    errors: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Networks:
    """Fitted networks and what their errors are measured in.

    Where a value is missing, they see the median of the column. In a column that also has gaps in
    the fit rows, they see what they make of the row with the values of similar rows in its place.

    expansion: where columns are of several kinds. residual_scale: (d,), used only with it.
    """

    members: tuple[nn.Module, ...]
    settings: ModelSettings
    scaler: Scaler
    expansion: Expansion | None
    residual_scale: NDArray[np.float64]
    device: str

    def __call__(self, scaled: Tensor, filled: Tensor) -> Compared:
        """Rebuild scaled rows (n, d).

        filled: the same rows without NaN; `scaled` itself where nothing is known to be missing.
        """
        gaps = filled is not scaled
        seen = self._seen(self._unchanged(filled))
        if gaps and self._filler is not None:
            seen = self._refilled(scaled, seen, self._filler)
        outcomes = [self._rebuild(halves, seen) for halves in self._halves]
        rebuilt = [each for _, each in outcomes]
        errors = [self._error(scaled, each, gaps=gaps) for each in rebuilt]
        return Compared(outcomes[0][0], self._combined(errors), rebuilt)

    def _refilled(self, scaled: Tensor, seen: Tensor, filler: GapFiller) -> Tensor:
        """Fill the gaps of rows (n, width), then put what the networks make of them in place."""
        gaps = filler.gaps(scaled)
        if is_host(self.device) and not gaps.any():
            return seen
        filled = filler(seen, gaps)  # all rows, since results depend on the size of a batch
        outputs = torch.stack([self._rebuild(halves, filled)[1] for halves in self._halves])
        return torch.where(gaps, outputs.mean(dim=0), filled)

    def _error(self, scaled: Tensor, rebuilt: Tensor, *, gaps: bool) -> Tensor:
        """Return one member's error of each row, (n,) float64."""
        if self.expansion is not None:
            squares = self.expansion.errors_of_logits(rebuilt, scaled)
            squares = squares.to(exact_device(self.device)).double() / self._usual_squares
        else:
            away = scaled - rebuilt  # in this order, whose memory holds row after row
            squares = away.to(exact_device(self.device)).double().square_()
        if not gaps:
            return squares.sum(dim=1) / squares.shape[1]
        missing = squares.isnan()
        unusual = missing & self._complete
        squares = squares.masked_fill(missing, 0).masked_fill(unusual, MISSING**2)
        counted = (~missing | unusual).sum(dim=1)
        errors = squares.sum(dim=1) / counted
        return errors.masked_fill(missing.all(dim=1), torch.nan)

    def _combined(self, errors: Sequence[Tensor]) -> Tensor:
        """Combine the errors (n,) of each member into (n,)."""
        if len(errors) == 1:
            return errors[0]
        stacked = torch.stack(list(errors))
        return stacked.amax(dim=0) if self.settings.combine == "max" else stacked.mean(dim=0)

    def _rebuild(self, halves: Halves, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Return latents (n, k) and outputs (n, width) of one member."""
        encoder, decoder = halves
        latents = run_layers(encoder, seen)
        logits = run_layers(decoder, latents)
        return latents, finish_output(logits, self.settings.output)

    def _seen(self, filled: Tensor) -> Tensor:
        """Return what the networks see (n, width) of scaled rows (n, d) without gaps."""
        return filled if self.expansion is None else self.expansion(filled)

    def _unchanged(self, filled: Tensor) -> Tensor:
        """Return what the network sees: 0 for columns that are constant in the clean rows."""
        if not self.scaler.constant.any():
            return filled
        return filled.masked_fill(self._constant, 0.0)

    @cached_property
    def _halves(self) -> list[Halves]:
        """Layers of each member; to look them up takes as long as a small product."""
        return [(_layers(member, "encoder"), _layers(member, "decoder")) for member in self.members]

    @cached_property
    def _filler(self) -> GapFiller | None:
        return GapFiller.of(self.scaler, self.expansion, self.device)

    @cached_property
    def _constant(self) -> Tensor:
        return torch.from_numpy(self.scaler.constant).to(self.device)

    @cached_property
    def _usual_squares(self) -> Tensor:
        return torch.from_numpy(self.residual_scale**2).to(exact_device(self.device))

    @cached_property
    def _complete(self) -> Tensor:
        return torch.from_numpy(self.scaler.complete).to(exact_device(self.device))


def _layers(member: nn.Module, half: str) -> Sequence[nn.Module]:
    return list(member.get_submodule(half).children())
