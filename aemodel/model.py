"""A trained autoencoder with its scaler, calibration scores, and residual and latent scales."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aemodel.decoder import Decoder
from aemodel.devices.batches import BatchPlan, Compute, Finish
from aemodel.devices.places import exact_device, is_host
from aemodel.devices.scaling import DeviceScaler
from aemodel.measured import MeasuredNetworks, Rows, Vector
from aemodel.network.inference import (
    batch_rows,
    copy_inputs,
    layer_widths,
    map_rows,
)
from aemodel.network.networks import Networks, Rebuilt
from aemodel.pictures.features import BLOCK_ROWS
from aemodel.scores.mixed_novelty import MixedNovelty
from aemodel.scores.relative_error import relative_errors
from aemodel.settings import SCORES

Scores = tuple[Vector, Vector, Vector]  # by each of SCORES
SomeScores = dict[str, Vector]  # (n,) by name, some of SCORES
NOTHING: Mapping[str, NDArray[np.float32]] = MappingProxyType({})
MapRows = Callable[[Rows, Compute, Sequence[Rows], Finish | None], None]


@dataclass(frozen=True)
class Autoencoder(MeasuredNetworks):
    """Trained networks and what was measured on clean rows.

    Methods take rows (n, *row_shape) in the source's dtype or a similar one. With several members,
    latents and the decoder are those of the first; reconstructions and residuals are means.
    """

    @cached_property
    def reference_latents(self) -> NDArray[np.float32]:
        """Latents (m, k) of the reference rows."""
        return self.encode(self.measured.reference.rows)

    @property
    def size(self) -> int:
        """Rows of every batch; few with features, which cost as much for rows that only pad."""
        if self.features is not None:
            return BLOCK_ROWS
        return batch_rows(self._widths, self.device)

    @cached_property
    def _widths(self) -> list[int]:
        halves = [self.members[0].get_submodule(name) for name in ("encoder", "decoder")]
        widths = [width for half in halves for width in layer_widths(half)]
        sizes = self.expansion.sizes if self.expansion is not None else []
        return [*widths, sum(sizes), len(sizes)] if sizes else widths

    @property
    def decoded_size(self) -> int:
        """Number of values that the decoder gives for a row."""
        return len(self.decoded) or self.layout.n_features

    @property
    def decoder(self) -> Decoder:
        """The first member's decoder."""
        network = self.members[0].get_submodule("decoder")
        whole = Decoder(network, self.settings.output, self.scaler, self.layout, self.device)
        return whole.of_columns(self.decoded) if self.decoded else whole

    def encode(self, rows: Rows) -> NDArray[np.float32]:
        """Return the latents (n, k)."""
        latents, _ = self.encode_and_errors(rows)
        return latents

    def errors(self, rows: Rows) -> Vector:
        """Return each row's reconstruction error (n,).

        It is the mean over observed features of (x - x~)^2 in scaled units; a value missing from a
        column that is complete in the clean rows counts as MISSING^2. With columns of several
        kinds, it is the mean over columns of the column's error (see `aemodel.network.expansion`)
        divided by its usual one. With several members, it is their mean or maximum
        (model.combine). It is infinite for a row without observed features
        and for a row beyond the range of float32.
        """
        _, errors = self.encode_and_errors(rows)
        return errors

    def encode_and_errors(self, rows: Rows) -> tuple[NDArray[np.float32], Vector]:
        """Return latents (n, k) and errors (n,), in one pass."""
        latents = np.empty((len(rows), self.settings.latent), np.float32)
        errors = np.empty(len(rows), np.float64)
        self._map(rows, self._encode_and_errors, [latents, errors])
        return latents, _or_infinite(errors)

    def scores(self, rows: Rows) -> Scores:
        """Return scores (n,) by each of SCORES, in one pass.

        See `errors`, `aemodel.scores.novelty` and `aemodel.scores.relative_error`.
        """
        return _all_scores(self._score(rows, self._map, SCORES))

    def score_scaled(self, scaled: NDArray[np.float32]) -> tuple[Scores, NDArray[np.float32]]:
        """Return the scores of rows in scaled units (n, d), and their latents (n, k)."""
        latents = np.empty((len(scaled), self.settings.latent), np.float32)
        found = self._score(scaled, self._map_scaled, SCORES, {"latents": latents})
        return _all_scores(found), latents

    def parts(self, rows: Rows) -> Iterator[tuple[Autoencoder, NDArray[np.intp]]]:
        """Yield the models that judge rows (n, *row_shape), each with the indices of its rows."""
        yield self, np.arange(len(rows))

    def scale_and_score(
        self, rows: Rows, wanted: Sequence[str]
    ) -> tuple[SomeScores, NDArray[np.float32]]:
        """Return the `wanted` ones of SCORES, and the rows in scaled units (n, d).

        Novelty costs many times as much as the error, so only what is wanted is computed.
        """
        if self._scaler_on_device(rows.dtype) is None:
            scaled = self.scale(rows)
            return self._score(scaled, self._map_scaled, wanted), scaled
        scaled = np.empty((len(rows), self.layout.n_features), np.float32)
        return self._score(rows, self._map, wanted, {"scaled": scaled}), scaled

    def scores_by(self, score: str, rows: Rows) -> Vector:
        """Return scores (n,) by one of SCORES."""
        return self._score(rows, self._map, (score,))[score]

    def rebuild(self, rows: Rows) -> Rebuilt:
        """Reconstruct rows; for NaN, see `Networks`."""
        n, d = len(rows), self.layout.n_features
        scaled, rebuilt, residuals = (np.empty((n, d), np.float32) for _ in range(3))
        latents, errors = np.empty((n, self.settings.latent), np.float32), np.empty(n)
        self._map(rows, self._rebuild_and_keep, [scaled, rebuilt, residuals, latents, errors])
        return Rebuilt(rows, scaled, rebuilt, residuals, latents, _or_infinite(errors))

    def residuals(self, rows: Rows) -> Vector:
        """Return `Rebuilt.residuals` (n, d) as float64."""
        return self.rebuild(rows).residuals.astype(np.float64)

    def reconstruct(self, rows: Rows) -> Vector:
        """Return reconstructions (n, *row_shape) float64 in data units, without rounding."""
        return self.in_data_units(self.rebuild(rows)).reshape(rows.shape)

    def in_data_units(self, rows: Rebuilt) -> Vector:
        """Return reconstructions (n, d) in data units."""
        return self.scaler.inverse(rows.rebuilt, like=rows.rows)

    def _map(
        self,
        rows: Rows,
        forward: Compute,
        outputs: Sequence[Rows],
        finish: Finish | None = None,
    ) -> None:
        """Write the results of `forward` on rows, scaled where they are computed if possible."""
        self._require_shape(rows)
        scale = self._scaler_on_device(rows.dtype)
        if scale is None:
            plan = self._plan(finish=finish)
            map_rows(rows, plan, self.scaler.transform_into, forward, outputs)
        else:
            plan = self._plan(rows.dtype.name)
            map_rows(rows, plan, copy_inputs, lambda batch: forward(scale(batch)), outputs)

    def _map_scaled(
        self,
        scaled: Rows,
        forward: Compute,
        outputs: Sequence[Rows],
        finish: Finish | None = None,
    ) -> None:
        """Write the results of `forward` on rows in scaled units (n, d)."""
        map_rows(scaled, self._plan(finish=finish), copy_inputs, forward, outputs)

    def _plan(self, dtype: str = "float32", finish: Finish | None = None) -> BatchPlan:
        return BatchPlan(self.size, self.layout.n_features, self.device, dtype, finish)

    def _scaler_on_device(self, dtype: np.dtype[np.generic]) -> DeviceScaler | None:
        if dtype.name not in self._scalers:
            self._scalers[dtype.name] = DeviceScaler.of(self.scaler, dtype, self.device)
        return self._scalers[dtype.name]

    @cached_property
    def _scalers(self) -> dict[str, DeviceScaler | None]:
        """What scales rows of a dtype on the device, by its name."""
        return {}

    def _score(
        self,
        rows: Rows,
        map_with: MapRows,
        wanted: Sequence[str],
        also: Mapping[str, NDArray[np.float32]] = NOTHING,
    ) -> SomeScores:
        """Return the `wanted` ones of SCORES for rows that `map_with` takes.

        also: where their "latents" (n, k) or "scaled" values (n, d) are written.
        """
        found = {name: np.empty(len(rows)) for name in SCORES if name in wanted}
        outputs: dict[str, Rows] = {**found, **also}
        forward = partial(self._scores, tuple(outputs))
        map_with(rows, forward, list(outputs.values()), self._finish_of(tuple(outputs)))
        if "error" in found:
            found["error"] = _or_infinite(found["error"])
        return found

    def _encode_and_errors(self, scaled: Tensor) -> tuple[Tensor, Tensor]:
        found = self._networks(scaled, self.fill(scaled))
        return found.latents, found.errors

    def _scores(self, wanted: Sequence[str], scaled: Tensor) -> list[Tensor]:
        """Return the `wanted` ones of SCORES (n,), latents (n, k), and `scaled`, in this order."""
        filled = self.fill(scaled)
        latents, errors, _ = self._networks(scaled, filled)
        found = [errors] if "error" in wanted else []
        if "novelty" in wanted:
            found.extend(self._novelties(scaled, filled, errors))
        if "relative" in wanted:
            exact = filled.to(exact_device(self.device))
            found.append(relative_errors(exact, errors, self.measured.usual))
        if "latents" in wanted:
            found.append(latents)
        if "scaled" in wanted:
            found.append(scaled)
        return found

    def _novelties(
        self, scaled: Tensor, filled: Tensor, errors: Tensor
    ) -> tuple[Tensor] | tuple[Tensor, Tensor]:
        """Return novelties (n,), or for `_finish_of` the two parts that the device computes."""
        points = self.to_points(filled)
        if self.mixed_novelty is None:
            return (self.novelty(points, errors),)
        if is_host(self.device):
            return (self.mixed_novelty(scaled, points, errors),)
        return self.novelty.parts(points, errors)

    def _finish_of(self, wanted: tuple[str, ...]) -> Finish | None:
        """Return what another device leaves to the host: the surprise of levels, in novelty."""
        if is_host(self.device) or "novelty" not in wanted or self.mixed_novelty is None:
            return None
        return partial(_with_surprise, self.mixed_novelty, wanted.index("novelty"))

    def _rebuild_and_keep(self, scaled: Tensor) -> tuple[Tensor, ...]:
        latents, errors, outputs = self._networks(scaled, self.fill(scaled))
        if self.expansion is not None:
            outputs = [self.expansion.finish(each) for each in outputs]
        mean = reduce(torch.add, outputs) / len(outputs)
        if self.expansion is None:
            return scaled, mean, scaled - mean, latents, errors
        rebuilt = self.expansion.rebuilt(mean)
        residuals = self.expansion.residuals(mean, scaled, rebuilt)
        return scaled, rebuilt, residuals, latents, errors

    @cached_property
    def _networks(self) -> Networks:
        return Networks(
            self.members,
            self.settings,
            self.scaler,
            self.expansion,
            self.measured.residual_scale,
            self.device,
        )


def _with_surprise(
    novelty: MixedNovelty, place: int, scaled: Tensor, found: Sequence[Tensor]
) -> Sequence[Tensor]:
    """Put novelties (n,) in place of their two parts in what a device found of scaled rows."""
    of_rows = novelty.of_parts(scaled, *found[place : place + 2])
    return [*found[:place], of_rows, *found[place + 2 :]]


def _all_scores(found: SomeScores) -> Scores:
    return found["error"], found["novelty"], found["relative"]


def _or_infinite(errors: Vector) -> Vector:
    return np.where(np.isnan(errors), np.inf, errors)
