"""A trained autoencoder with its scaler, calibration scores, and residual and latent scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aemodel.decisions.block_scores import BlockScores, MeasuredBlocks
from aemodel.errors import DataError
from aemodel.network.dense import finish_output
from aemodel.network.inference import (
    BatchPlan,
    Forward,
    batch_rows,
    layer_widths,
    map_rows,
    run_layers,
)
from aemodel.rows.layout import Layout
from aemodel.rows.scaling import Scaler
from aemodel.scores.novelty import Novelty, Reference
from aemodel.scores.relative_error import relative_errors
from aemodel.settings import SCORES, ModelSettings, TrainSettings

MISSING = 4.0  # scaled residual of a value that is never missing in clean rows

Rows = NDArray[np.generic]  # (n, *row_shape), in the source's dtype or a similar one
Vector = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured on clean rows that the network was not fitted on.

    calibration, novelty_calibration, relative_calibration: (n,) float64, the calibration rows'
        scores by each of SCORES, ascending.
    evidence: (3, n) float64, the calibration rows' evidence, see `aemodel.explain.evidence`.
    usual: (3,) float64, see `aemodel.scores.relative_error`.
    residual_scale: (d,) float64, root mean square of each feature's residual in scaled units.
    feature_center, feature_spread, feature_usual: (d,), (d,), (3, d) float64, of scaled clean
        rows, see `aemodel.decisions.feature_shift`.
    latent_low, latent_high: (k,) float32, the range that latents are stored in.
    reference: the clean rows that novelty compares with.
    blocks: None if clean rows are not known to come in blocks.
    """

    calibration: Vector
    novelty_calibration: Vector
    relative_calibration: Vector
    usual: Vector
    residual_scale: Vector
    feature_center: Vector
    feature_spread: Vector
    feature_usual: Vector
    evidence: Vector
    latent_low: NDArray[np.float32]
    latent_high: NDArray[np.float32]
    reference: Reference
    blocks: MeasuredBlocks | None = None


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

    def decode(self, latents: NDArray[np.floating]) -> Rows:
        """Map latents (n, k) to rows (n, *row_shape) in the source's dtype.

        Integers are rounded and clipped.
        """
        return cast_rows(self.decode_exactly(latents), self.layout.dtype)

    def decode_exactly(self, latents: NDArray[np.floating]) -> Vector:
        """Map latents (n, k) to rows (n, *row_shape) float64 in data units, without rounding."""
        rows = np.empty((len(latents), self.layout.n_features))
        plan = BatchPlan(self.size, latents.shape[1], self.device)
        map_rows(latents, plan, _copy_latents, self._forward, [rows])
        return self.scaler.invert(rows).reshape(len(latents), *self.layout.row_shape)

    def _forward(self, latents: Tensor) -> tuple[Tensor]:
        return (finish_output(run_layers(self.network, latents), self.output),)


@dataclass(frozen=True)
class Autoencoder:
    """Trained networks and what was measured on clean rows.

    Methods take rows (n, *row_shape) in the source's dtype or a similar one. With several members,
    latents and the decoder are those of the first; reconstructions and residuals are means.
    """

    members: tuple[nn.Module, ...]
    settings: ModelSettings
    layout: Layout
    scaler: Scaler
    measured: Measured
    train_settings: TrainSettings = field(default_factory=TrainSettings)
    facts: Mapping[str, object] = field(default_factory=dict)
    device: str = "cpu"

    @property
    def calibration(self) -> Vector:
        """Errors of the calibration rows, ascending."""
        return self.measured.calibration

    def calibration_by(self, score: str) -> Vector:
        """Return the calibration rows' scores by one of SCORES, ascending."""
        measured = self.measured
        by_score = {
            "error": measured.calibration,
            "novelty": measured.novelty_calibration,
            "relative": measured.relative_calibration,
        }
        return by_score[score]

    def blocks_by(self, score: str) -> BlockScores | None:
        """Return what one of SCORES says about blocks of clean rows, if these are known."""
        blocks = self.measured.blocks
        if blocks is None:
            return None
        return blocks.by(SCORES.index(score), str(self.facts.get("blocks", "blocks")))

    @cached_property
    def novelty(self) -> Novelty:
        """The novelty score, with the reference rows on the model's device."""
        reference = self.measured.reference
        scaled = torch.from_numpy(self.scale(reference.rows)).to(self.device)
        return Novelty(reference, self._filled(scaled).to(self._exact_device))

    @cached_property
    def reference_latents(self) -> NDArray[np.float32]:
        """Latents (m, k) of the reference rows."""
        return self.encode(self.measured.reference.rows)

    @property
    def _exact_device(self) -> str:
        """Where float64 is computed: MPS has none."""
        return "cpu" if self.device == "mps" else self.device

    @property
    def size(self) -> int:
        """Rows of every batch."""
        halves = [self.members[0].get_submodule(name) for name in ("encoder", "decoder")]
        widths = [width for half in halves for width in layer_widths(half)]
        return batch_rows(widths, self.device)

    @property
    def decoder(self) -> Decoder:
        """The first member's decoder."""
        network = self.members[0].get_submodule("decoder")
        return Decoder(network, self.settings.output, self.scaler, self.layout, self.device)

    def encode(self, rows: Rows) -> NDArray[np.float32]:
        """Return the latents (n, k)."""
        latents, _ = self.encode_and_errors(rows)
        return latents

    def errors(self, rows: Rows) -> Vector:
        """Return each row's reconstruction error (n,).

        It is the mean over observed features of (x - x~)^2 in scaled units; a value missing from a
        column that is complete in the clean rows counts as MISSING^2. With several members, it is
        their mean or maximum (model.combine). It is infinite for a row without observed features
        and for a row beyond the range of float32.
        """
        _, errors = self.encode_and_errors(rows)
        return errors

    def encode_and_errors(self, rows: Rows) -> tuple[NDArray[np.float32], Vector]:
        """Return latents (n, k) and errors (n,), in one pass."""
        latents = np.empty((len(rows), self.settings.latent), np.float32)
        errors = np.empty(len(rows), np.float64)
        self._map(rows, self._encode_and_errors, [latents, errors])
        return latents, np.where(np.isnan(errors), np.inf, errors)

    def scores(self, rows: Rows) -> tuple[Vector, Vector, Vector]:
        """Return scores (n,) by each of SCORES, in one pass.

        See `errors`, `aemodel.scores.novelty` and `aemodel.scores.relative_error`.
        """
        errors, novelties, relatives = (np.empty(len(rows)) for _ in SCORES)
        self._map(rows, self._scores, [errors, novelties, relatives])
        return np.where(np.isnan(errors), np.inf, errors), novelties, relatives

    def scores_by(self, score: str, rows: Rows) -> Vector:
        """Return scores (n,) by one of SCORES."""
        if score == "error":
            return self.errors(rows)
        return self.scores(rows)[SCORES.index(score)]

    def residuals(self, rows: Rows) -> Vector:
        """Return x - x~ in scaled units, (n, d); NaN where x is NaN."""
        return (self.scale(rows) - self.rebuild_scaled(rows)).astype(np.float64)

    def reconstruct(self, rows: Rows) -> Vector:
        """Return reconstructions (n, *row_shape) float64 in data units, without rounding."""
        return self.scaler.inverse(self.rebuild_scaled(rows)).reshape(rows.shape)

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

    def rebuild_scaled(self, rows: Rows) -> NDArray[np.float32]:
        """Return reconstructions in scaled units, (n, d).

        The network sees the column's median for NaN.
        """
        rebuilt = np.empty((len(rows), self.layout.n_features), np.float32)
        self._map(rows, self._rebuild_mean, [rebuilt])
        return rebuilt

    def _map(self, rows: Rows, forward: Forward, outputs: Sequence[Rows]) -> None:
        self._require_shape(rows)
        plan = BatchPlan(self.size, self.layout.n_features, self.device)
        map_rows(rows, plan, self.scaler.transform_into, forward, outputs)

    def _encode_and_errors(self, scaled: Tensor) -> tuple[Tensor, Tensor]:
        return self._rebuild_and_compare(scaled, self._filled(scaled))

    def _rebuild_and_compare(self, scaled: Tensor, filled: Tensor) -> tuple[Tensor, Tensor]:
        """Return the first member's latents (n, k) and the combined errors (n,)."""
        outcomes = [self._rebuild(member, self._unchanged(filled)) for member in self.members]
        errors = [
            self._error(scaled, rebuilt, gaps=filled is not scaled) for _, rebuilt in outcomes
        ]
        return outcomes[0][0], self._combined(torch.stack(errors))

    def _error(self, scaled: Tensor, rebuilt: Tensor, *, gaps: bool) -> Tensor:
        """Return one member's error of each row, (n,) float64."""
        squares = (rebuilt - scaled).to(self._exact_device).double().square_()
        if not gaps:
            return squares.sum(dim=1) / squares.shape[1]
        missing = squares.isnan()
        unusual = missing & self._complete
        squares = squares.masked_fill(missing, 0).masked_fill(unusual, MISSING**2)
        counted = (~missing | unusual).sum(dim=1)
        errors = squares.sum(dim=1) / counted
        return errors.masked_fill(missing.all(dim=1), torch.nan)

    def _combined(self, errors: Tensor) -> Tensor:
        """Combine the members' errors (members, n) into (n,)."""
        return errors.amax(dim=0) if self.settings.combine == "max" else errors.mean(dim=0)

    def _scores(self, scaled: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        filled = self._filled(scaled)
        _, errors = self._rebuild_and_compare(scaled, filled)
        filled = filled.to(self._exact_device)
        relatives = relative_errors(filled, errors, self.measured.usual)
        return errors, self.novelty(filled, errors), relatives

    def _rebuild_mean(self, scaled: Tensor) -> tuple[Tensor]:
        filled = self._unchanged(self._filled(scaled))
        _, total = self._rebuild(self.members[0], filled)
        for member in self.members[1:]:
            total = total + self._rebuild(member, filled)[1]
        return (total / len(self.members),)

    def _rebuild(self, member: nn.Module, filled: Tensor) -> tuple[Tensor, Tensor]:
        """Return latents (n, k) and reconstructions (n, d) of one member."""
        latents = run_layers(member.get_submodule("encoder"), filled)
        logits = run_layers(member.get_submodule("decoder"), latents)
        return latents, finish_output(logits, self.settings.output)

    def _filled(self, scaled: Tensor) -> Tensor:
        """Return rows with the column's median for NaN.

        Returns `scaled` itself if nothing is missing. The sum is NaN if any value is, and costs a
        tenth of testing every value.
        """
        if not scaled.sum().isnan():
            return scaled
        return torch.where(scaled.isnan(), torch.from_numpy(self.scaler.fill).to(scaled), scaled)

    def _unchanged(self, filled: Tensor) -> Tensor:
        """Return what the network sees: 0 for columns that are constant in the clean rows."""
        if not self.scaler.constant.any():
            return filled
        return filled.masked_fill(self._constant, 0.0)

    @cached_property
    def _constant(self) -> Tensor:
        return torch.from_numpy(self.scaler.constant).to(self.device)

    @cached_property
    def _complete(self) -> Tensor:
        return torch.from_numpy(self.scaler.complete).to(self._exact_device)


def _copy_latents(latents: NDArray[np.generic], inputs: NDArray[np.float32]) -> None:
    np.copyto(inputs, latents, casting="same_kind")


def cast_rows(rows: Vector, dtype: str) -> Rows:
    """Cast rows to the source's dtype; integers are rounded and clipped to their range."""
    kind = np.dtype(dtype)
    if kind.kind not in "iu":
        with np.errstate(over="ignore"):
            return rows.astype(kind)
    limits = np.iinfo(kind)
    rounded = np.clip(np.rint(rows), limits.min, limits.max)
    if kind.itemsize < 8:
        return rounded.astype(kind)
    too_large = rounded >= float(limits.max)  # float64 cannot hold the largest 64-bit integers
    below = np.where(too_large, 0, rounded).astype(kind)
    return np.where(too_large, limits.max, below).astype(kind)
