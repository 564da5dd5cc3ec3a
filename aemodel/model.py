"""A trained autoencoder with its scaler, calibration scores, and residual and latent scales."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial, reduce

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aemodel.decisions.block_scores import BlockScores
from aemodel.decoder import Decoder
from aemodel.errors import DataError
from aemodel.measured import Measured
from aemodel.network.expansion import Expansion
from aemodel.network.inference import (
    BatchPlan,
    Forward,
    WriteInputs,
    batch_rows,
    copy_inputs,
    layer_widths,
    map_rows,
)
from aemodel.network.networks import Networks, Rebuilt, exact_device
from aemodel.rows.layout import NUMBER, Layout
from aemodel.rows.scaling import Scaler
from aemodel.scores.mixed_novelty import MixedNovelty
from aemodel.scores.novelty import Novelty
from aemodel.scores.relative_error import relative_errors
from aemodel.scores.surprise import Surprise
from aemodel.series.model import SeriesModel
from aemodel.settings import SCORES, ModelSettings, TrainSettings

Rows = NDArray[np.generic]  # (n, *row_shape), in the source's dtype or a similar one
Vector = NDArray[np.float64]
Scores = tuple[Vector, Vector, Vector]  # by each of SCORES
SomeScores = dict[str, Vector]  # (n,) by name, some of SCORES


@dataclass(frozen=True)
class Autoencoder:
    """Trained networks and what was measured on clean rows.

    Methods take rows (n, *row_shape) in the source's dtype or a similar one. With several members,
    latents and the decoder are those of the first; reconstructions and residuals are means.
    decoded: the columns that the decoder gives, all of them numbers; () for all.
    series: what judges windows of rows in order of time, with [series].
    """

    members: tuple[nn.Module, ...]
    settings: ModelSettings
    layout: Layout
    scaler: Scaler
    measured: Measured
    train_settings: TrainSettings = field(default_factory=TrainSettings)
    facts: Mapping[str, object] = field(default_factory=dict)
    device: str = "cpu"
    decoded: tuple[int, ...] = ()
    series: SeriesModel | None = None

    @property
    def calibration(self) -> Vector:
        """Errors of the calibration rows, ascending."""
        return self.measured.calibration

    def calibration_by(self, score: str) -> Vector:
        """Return the calibration rows' scores by one of SCORES, ascending."""
        return self.measured.calibration_by(score)

    def blocks_by(self, score: str) -> BlockScores | None:
        """Return what one of SCORES says about blocks of clean rows, if these are known."""
        blocks = self.measured.blocks
        if blocks is None:
            return None
        return blocks.by(SCORES.index(score), str(self.facts.get("blocks", "blocks")))

    @cached_property
    def novelty(self) -> Novelty:
        """The novelty score, with the reference rows on the model's device."""
        scaled = torch.from_numpy(self.scaled_reference).to(self.device)
        points = self.to_points(self.fill(scaled)).to(exact_device(self.device))
        return Novelty(self.measured.reference, points)

    @cached_property
    def scaled_reference(self) -> NDArray[np.float32]:
        """The reference rows in scaled units, (m, d)."""
        return self.scale(self.measured.reference.rows)

    @cached_property
    def mixed_novelty(self) -> MixedNovelty | None:
        """Novelty where columns are of several kinds."""
        levels = self.scaler.levels
        if levels is None or self.measured.mixed is None:
            return None
        mixed = self.measured.mixed
        return MixedNovelty(mixed, self.novelty, Surprise(mixed.margins, levels, self.layout))

    @cached_property
    def expansion(self) -> Expansion | None:
        """What the network sees of columns of several kinds; None if all are numbers."""
        levels = self.scaler.levels
        return Expansion(self.layout.kinds, levels, self.device) if levels is not None else None

    @cached_property
    def numbers(self) -> NDArray[np.bool_] | None:
        """Which columns (d,) are numbers; None if all are."""
        return np.isin(self.layout.kinds, NUMBER) if self.layout.kinds else None

    def to_values(self, scaled: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return scaled rows (n, d) with the surprise of each level in place of its rank."""
        if self.mixed_novelty is None:
            return scaled
        values = scaled.copy()
        self.mixed_novelty.surprise.write_levels(scaled, values)
        return values

    def to_points(self, filled: Tensor) -> Tensor:
        """Return scaled rows (n, d) without NaN as points between which distances are taken."""
        if self.expansion is None or self.measured.mixed is None:
            return filled
        weights = torch.from_numpy(self.measured.mixed.weights).to(filled)
        return self.expansion.points(filled, weights)

    @cached_property
    def reference_latents(self) -> NDArray[np.float32]:
        """Latents (m, k) of the reference rows."""
        return self.encode(self.measured.reference.rows)

    @property
    def size(self) -> int:
        """Rows of every batch."""
        halves = [self.members[0].get_submodule(name) for name in ("encoder", "decoder")]
        widths = [width for half in halves for width in layer_widths(half)]
        return batch_rows(widths, self.device)

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
        self._require_shape(rows)
        return _all_scores(self._score(rows, self.scaler.transform_into, SCORES))

    def score_scaled(self, scaled: NDArray[np.float32]) -> tuple[Scores, NDArray[np.float32]]:
        """Return the scores of rows in scaled units (n, d), and their latents (n, k)."""
        latents = np.empty((len(scaled), self.settings.latent), np.float32)
        return _all_scores(self._score(scaled, copy_inputs, SCORES, latents=latents)), latents

    def parts(self, rows: Rows) -> Iterator[tuple[Autoencoder, NDArray[np.intp]]]:
        """Yield the models that judge rows (n, *row_shape), each with the indices of its rows."""
        yield self, np.arange(len(rows))

    def scale_and_score(
        self, rows: Rows, wanted: Sequence[str]
    ) -> tuple[SomeScores, NDArray[np.float32]]:
        """Return the `wanted` ones of SCORES, and the rows in scaled units (n, d).

        Novelty costs many times as much as the error, so only what is wanted is computed.
        """
        scaled = self.scale(rows)
        return self._score(scaled, copy_inputs, wanted), scaled

    def scores_by(self, score: str, rows: Rows) -> Vector:
        """Return scores (n,) by one of SCORES."""
        self._require_shape(rows)
        return self._score(rows, self.scaler.transform_into, (score,))[score]

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

    def scale(self, rows: Rows) -> NDArray[np.float32]:
        """Return rows in scaled units, (n, d).

        Raises DataError if their shape differs from the training data's.
        """
        self._require_shape(rows)
        return self.scaler.transform(rows)

    def _require_shape(self, rows: Rows) -> None:
        expected, got = self.layout.row_shape, rows.shape[1:]
        if got != expected:
            raise DataError(
                f"rows must have the shape {expected}, like the training data. Got {got} instead."
            )

    def _map(self, rows: Rows, forward: Forward, outputs: Sequence[Rows]) -> None:
        self._require_shape(rows)
        map_rows(rows, self._plan, self.scaler.transform_into, forward, outputs)

    @property
    def _plan(self) -> BatchPlan:
        return BatchPlan(self.size, self.layout.n_features, self.device)

    def _score(
        self,
        rows: Rows,
        write: WriteInputs,
        wanted: Sequence[str],
        *,
        latents: NDArray[np.float32] | None = None,
    ) -> SomeScores:
        """Return the `wanted` ones of SCORES for rows that `write` scales.

        latents: (n, k), where their latents are written.
        """
        found = {name: np.empty(len(rows)) for name in SCORES if name in wanted}
        outputs: dict[str, Rows] = {**found}
        if latents is not None:
            outputs["latents"] = latents
        forward = partial(self._scores, tuple(outputs))
        map_rows(rows, self._plan, write, forward, list(outputs.values()))
        if "error" in found:
            found["error"] = _or_infinite(found["error"])
        return found

    def _encode_and_errors(self, scaled: Tensor) -> tuple[Tensor, Tensor]:
        found = self._networks(scaled, self.fill(scaled))
        return found.latents, found.errors

    def _scores(self, wanted: Sequence[str], scaled: Tensor) -> list[Tensor]:
        """Return the `wanted` ones of SCORES (n,) and of latents (n, k), in this order."""
        filled = self.fill(scaled)
        latents, errors, _ = self._networks(scaled, filled)
        found = [errors] if "error" in wanted else []
        if "novelty" in wanted:
            found.append(self._novelties(scaled, filled, errors))
        if "relative" in wanted:
            exact = filled.to(exact_device(self.device))
            found.append(relative_errors(exact, errors, self.measured.usual))
        if "latents" in wanted:
            found.append(latents)
        return found

    def _novelties(self, scaled: Tensor, filled: Tensor, errors: Tensor) -> Tensor:
        exact = filled.to(exact_device(self.device))
        if self.mixed_novelty is None:
            return self.novelty(exact, errors)
        return self.mixed_novelty(scaled, self.to_points(exact), errors)

    def _rebuild_and_keep(self, scaled: Tensor) -> tuple[Tensor, ...]:
        latents, errors, outputs = self._networks(scaled, self.fill(scaled))
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

    def fill(self, scaled: Tensor) -> Tensor:
        """Return scaled rows (n, d) with the column's median for NaN.

        Returns `scaled` itself if nothing is missing. The sum is NaN if any value is, and costs a
        tenth of testing every value.
        """
        if not scaled.sum().isnan():
            return scaled
        return torch.where(scaled.isnan(), torch.from_numpy(self.scaler.fill).to(scaled), scaled)


def _all_scores(found: SomeScores) -> Scores:
    return found["error"], found["novelty"], found["relative"]


def _or_infinite(errors: Vector) -> Vector:
    return np.where(np.isnan(errors), np.inf, errors)
