"""The decoder of a trained autoencoder: all that a latent store needs to give rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from aemodel.network.dense import finish_output, with_outputs
from aemodel.network.inference import (
    BatchPlan,
    batch_rows,
    copy_inputs,
    layer_widths,
    map_rows,
    run_layers,
)
from aemodel.rows.layout import NUMBER, Layout, cast_rows
from aemodel.rows.scaling import Scaler


@dataclass(frozen=True)
class Decoder:
    """Maps latents to rows; holds only what that needs."""

    network: nn.Module
    output: str
    scaler: Scaler
    layout: Layout
    device: str = "cpu"

    @property
    def size(self) -> int:
        """Rows of every batch."""
        return batch_rows(layer_widths(self.network), self.device)

    def decode(self, latents: NDArray[np.floating]) -> NDArray[np.generic]:
        """Map latents (n, k) to rows (n, *row_shape) in the source's dtype.

        Integers are rounded and clipped.
        """
        return cast_rows(self.decode_exactly(latents), self.layout.dtype)

    def decode_exactly(self, latents: NDArray[np.floating]) -> NDArray[np.float64]:
        """Map latents (n, k) to rows (n, *row_shape) float64 in data units, without rounding."""
        rows = np.empty((len(latents), self.layout.n_features))
        plan = BatchPlan(self.size, latents.shape[1], self.device)
        map_rows(latents, plan, copy_inputs, self._forward, [rows])
        return self.scaler.invert(rows).reshape(len(latents), *self.layout.row_shape)

    def of_columns(self, places: Sequence[int]) -> Decoder:
        """Return the decoder of these columns only, all of them numbers."""
        numbers = self.layout.of_kind(NUMBER)
        some = with_outputs(self.network, [numbers.index(place) for place in places])
        chosen = list(places)
        scaler = Scaler.inverse_only(self.scaler.center[chosen], self.scaler.scale[chosen])
        columns = tuple(self.layout.columns[place] for place in places)
        layout = Layout(row_shape=(len(places),), dtype=self.layout.dtype, columns=columns)
        return replace(self, network=some, scaler=scaler, layout=layout)

    def _forward(self, latents: Tensor) -> tuple[Tensor]:
        return (finish_output(run_layers(self.network, latents), self.output),)
