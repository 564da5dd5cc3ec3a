"""The decoder of a trained autoencoder: all that a latent store needs to give rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aemodel.devices.batches import BatchPlan
from aemodel.devices.places import exact_device
from aemodel.network.dense import finish_output, with_outputs
from aemodel.network.inference import (
    batch_rows,
    copy_inputs,
    layer_widths,
    map_rows,
    run_layers,
)
from aemodel.rows.entities.scales import Entities
from aemodel.rows.layout import NUMBER, Layout, cast_rows
from aemodel.rows.scaling import Scaler


@dataclass(frozen=True)
class Decoder:
    """Maps latents to rows; holds only what that needs.

    entities: by which rows are scaled, of a decoder `of_columns`; their `column` means nothing.
    """

    network: nn.Module
    output: str
    scaler: Scaler
    layout: Layout
    device: str = "cpu"
    entities: Entities | None = None

    @property
    def size(self) -> int:
        """Rows of every batch."""
        return batch_rows(self._widths, self.device)

    @cached_property
    def _widths(self) -> list[int]:
        return layer_widths(self.network)

    def decode(self, latents: NDArray[np.floating]) -> NDArray[np.generic]:
        """Map latents (n, k) to rows (n, *row_shape) in the source's dtype.

        Integers are rounded and clipped.
        """
        return cast_rows(self.decode_exactly(latents), self.layout.dtype)

    def decode_exactly(
        self, latents: NDArray[np.floating], keys: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Map latents (n, k) to rows (n, *row_shape) float64 in data units, without rounding.

        keys: (n,), of the rows' entities; read only if there are any.
        """
        rows = np.empty((len(latents), self.layout.n_features))
        self._decode_into(rows, latents)
        if self.scaler.levels is not None:
            self.scaler.levels.write_keys(rows)
        if self.entities is not None and keys is not None:
            places = self.entities.places_of(keys)
            rows = rows * self.entities.spread[places] + self.entities.level[places]
        return rows.reshape(len(latents), *self.layout.row_shape)

    def decode_rounded(
        self,
        latents: NDArray[np.floating],
        dtype: str,
        keys: NDArray[np.float64] | None = None,
    ) -> NDArray[np.floating]:
        """Return what `decode_exactly` does, every value rounded once to a dtype of floats.

        A value beyond the range of the dtype becomes infinite.
        """
        rows = np.empty((len(latents), *self.layout.row_shape), dtype)
        flat = rows.reshape(len(rows), self.layout.n_features)
        with np.errstate(over="ignore"):
            if self.entities is None and self.scaler.levels is None:
                self._decode_into(flat, latents)
                return rows
            for start in range(0, len(rows), self.size):  # so that exact rows stay in the cache
                part = slice(start, start + self.size)
                rows[part] = self.decode_exactly(
                    latents[part], None if keys is None else keys[part]
                )
        return rows

    def _decode_into(self, rows: NDArray[np.floating], latents: NDArray[np.floating]) -> None:
        plan = BatchPlan(self.size, latents.shape[1], self.device)
        map_rows(latents, plan, copy_inputs, self._forward, [rows])

    def of_columns(self, places: Sequence[int]) -> Decoder:
        """Return the decoder of these columns only, all of them numbers."""
        numbers = self.layout.of_kind(NUMBER)
        some = with_outputs(self.network, [numbers.index(place) for place in places])
        chosen = list(places)
        scaler = Scaler.inverse_only(self.scaler.center[chosen], self.scaler.scale[chosen])
        columns = tuple(self.layout.columns[place] for place in places)
        layout = Layout(row_shape=(len(places),), dtype=self.layout.dtype, columns=columns)
        entities = self.scaler.entities and self.scaler.entities.of_columns(chosen)
        return replace(self, network=some, scaler=scaler, layout=layout, entities=entities)

    def _forward(self, latents: Tensor) -> tuple[Tensor]:
        """Return rows (n, d) float64 in data units, while they are in the cache."""
        outputs = finish_output(run_layers(list(self.network.children()), latents), self.output)
        scale, center = self._units
        return (outputs.to(scale.device).double().mul_(scale).add_(center),)

    @cached_property
    def _units(self) -> tuple[Tensor, Tensor]:
        device = exact_device(self.device)
        scale, center = (torch.tensor(each) for each in (self.scaler.scale, self.scaler.center))
        return scale.to(device), center.to(device)
