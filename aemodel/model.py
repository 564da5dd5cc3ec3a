"""A trained autoencoder with everything that belongs to it.

Scaler, calibration scores, residual and latent scales.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aemodel.errors import DataError, SettingsError
from aemodel.network.dense import finish_output
from aemodel.network.inference import batch_rows, layer_widths, map_rows, run_layers
from aemodel.rows.layout import Layout
from aemodel.rows.scaling import Scaler
from aemodel.scores.novelty import Novelty, Reference
from aemodel.scores.relative_error import relative_errors
from aemodel.settings import SCORES, ModelSettings, TrainSettings


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured on clean rows that the network was not fitted on.

    calibration, novelty_calibration, relative_calibration (n,) float64: the calibration rows'
    scores by each of SCORES, ascending; evidence (3, n): the same of `aemodel.explain.evidence`.
    usual (3,) float64: see `aemodel.scores.relative_error`; NaN in a bundle older than that score,
    which then has no relative_calibration. residual_scale (d,) float64: root mean square of each
    feature's residual in scaled units; feature_mean, feature_deviation (d,): of scaled clean rows.
    latent_low, latent_high (k,) float32: the range that latents are stored in. reference: what
    novelty is measured against.
    """

    calibration: NDArray[np.float64]
    novelty_calibration: NDArray[np.float64]
    relative_calibration: NDArray[np.float64]
    usual: NDArray[np.float64]
    residual_scale: NDArray[np.float64]
    feature_mean: NDArray[np.float64]
    feature_deviation: NDArray[np.float64]
    evidence: NDArray[np.float64]
    latent_low: NDArray[np.float32]
    latent_high: NDArray[np.float32]
    reference: Reference


@dataclass(frozen=True)
class Decoder:
    """Latents to rows, with no more than that needs."""

    network: nn.Module
    output: str
    scaler: Scaler
    layout: Layout
    device: str = "cpu"

    @property
    def size(self) -> int:
        """Rows of every batch."""
        return batch_rows(layer_widths(self.network), self.device)

    def decode(self, latents: NDArray[np.floating[Any]]) -> NDArray[Any]:
        """Latents (n, k) to rows (n, *row_shape) in the source's dtype.

        Integers are rounded and clipped.
        """
        return to_dtype(self.decode_exactly(latents), self.layout.dtype)

    def decode_exactly(self, latents: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Latents (n, k) to rows (n, *row_shape) in data units, before any rounding."""
        rows = np.empty((len(latents), self.layout.n_features))
        map_rows(
            latents,
            self.size,
            self.device,
            latents.shape[1],
            lambda some, batch: np.copyto(batch, some, casting="same_kind"),
            self._forward,
            [rows],
        )
        return self.scaler.invert(rows).reshape(len(latents), *self.layout.row_shape)

    def _forward(self, latents: Tensor) -> tuple[Tensor]:
        return (finish_output(run_layers(self.network, latents), self.output),)


@dataclass(frozen=True)
class Autoencoder:
    """Trained networks and their measures.

    Arrays of rows are (n, *row_shape) in the source's dtype or one like it.
    Of several members, latents and the decoder are the first one's; reconstructions and residuals
    are means over all.
    """

    members: tuple[nn.Module, ...]
    settings: ModelSettings
    layout: Layout
    scaler: Scaler
    measured: Measured
    train_settings: TrainSettings = field(default_factory=TrainSettings)
    facts: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"

    @property
    def calibration(self) -> NDArray[np.float64]:
        """Errors of the calibration rows, ascending."""
        return self.measured.calibration

    @property
    def known_scores(self) -> tuple[str, ...]:
        """Those of SCORES that the model was calibrated for."""
        return SCORES if np.isfinite(self.measured.usual).all() else SCORES[:2]

    def calibration_by(self, score: str) -> NDArray[np.float64]:
        """Scores of the calibration rows by one of SCORES, ascending.

        Raises SettingsError for one that an older model does not know.
        """
        if score not in self.known_scores:
            raise SettingsError(
                f"score.by = '{score}' needs a model that knows this score. Got one that is older than it; "
                f"train again, or set score.by to {' or '.join(repr(known) for known in self.known_scores)}."
            )
        found = (
            self.measured.calibration,
            self.measured.novelty_calibration,
            self.measured.relative_calibration,
        )
        return found[SCORES.index(score)]

    @cached_property
    def novelty(self) -> Novelty:
        """The reference, ready to be compared with."""
        reference = self.measured.reference
        return Novelty(
            reference, self._filled(torch.from_numpy(self.scale(reference.rows)).to(self.device))
        )

    @property
    def size(self) -> int:
        """Rows of every batch."""
        halves = [self.members[0].get_submodule(name) for name in ("encoder", "decoder")]
        return batch_rows([width for half in halves for width in layer_widths(half)], self.device)

    @property
    def decoder(self) -> Decoder:
        """The half that turns latents into rows."""
        return Decoder(
            self.members[0].get_submodule("decoder"),
            self.settings.output,
            self.scaler,
            self.layout,
            self.device,
        )

    def encode(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Latents (n, k)."""
        return self.encode_and_errors(rows)[0]

    def errors(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Reconstruction error of each row, (n,): the mean over observed features of (x - x~)^2 in scaled units.

        Of several members, their mean or maximum (model.combine). A row with nothing observed, or too far out for float32, has the error infinity.
        """
        return self.encode_and_errors(rows)[1]

    def encode_and_errors(
        self, rows: NDArray[Any]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Latents (n, k) and errors (n,) in one pass."""
        latents, errors = (
            np.empty((len(rows), self.settings.latent), np.float32),
            np.empty(len(rows), np.float64),
        )
        self._map(rows, self._encode_and_errors, [latents, errors])
        return latents, np.where(np.isnan(errors), np.inf, errors)

    def scores(
        self, rows: NDArray[Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Scores (n,) by each of SCORES, in one pass.

        See `errors`, `aemodel.scores.novelty` and `aemodel.scores.relative_error`.
        """
        errors, novelties, relatives = np.empty(len(rows)), np.empty(len(rows)), np.empty(len(rows))
        self._map(rows, self._scores, [errors, novelties, relatives])
        return np.where(np.isnan(errors), np.inf, errors), novelties, relatives

    def scores_by(self, score: str, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Scores (n,) by one of SCORES; see `calibration_by`."""
        return self.errors(rows) if score == "error" else self.scores(rows)[SCORES.index(score)]

    def residuals(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """X - x~ in scaled units, (n, d); NaN where x is."""
        return (self.scale(rows) - self.rebuild_scaled(rows)).astype(np.float64)

    def reconstruct(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Rows as the network gives them back, (n, *row_shape) in data units, before any rounding."""
        return self.scaler.inverse(self.rebuild_scaled(rows)).reshape(rows.shape)

    def scale(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Rows in scaled units, (n, d).

        Raises DataError where their shape is not the one the model was trained on.
        """
        self._require_shape(rows)
        return self.scaler.transform(rows)

    def _require_shape(self, rows: NDArray[Any]) -> None:
        if rows.shape[1:] != self.layout.row_shape:
            raise DataError(
                f"rows must have the shape {self.layout.row_shape}, as the model's training data. Got {rows.shape[1:]} instead."
            )

    def rebuild_scaled(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Reconstructions in scaled units, (n, d); the network sees the column's median for NaN."""
        rebuilt = np.empty((len(rows), self.layout.n_features), np.float32)
        self._map(rows, lambda scaled: (self._mean_rebuilt(self._filled(scaled)),), [rebuilt])
        return rebuilt

    def _map(
        self,
        rows: NDArray[Any],
        work: Callable[[Tensor], Sequence[Tensor]],
        outputs: Sequence[NDArray[Any]],
    ) -> None:
        self._require_shape(rows)
        map_rows(
            rows,
            self.size,
            self.device,
            self.layout.n_features,
            self.scaler.transform_into,
            work,
            outputs,
        )

    def _encode_and_errors(self, scaled: Tensor) -> tuple[Tensor, Tensor]:
        """Latents and errors; gaps are told by the numbers of each row alone, so that a gap in one row leaves the others as they were."""
        return self._rebuild_and_judge(scaled, self._filled(scaled))

    def _rebuild_and_judge(self, scaled: Tensor, filled: Tensor) -> tuple[Tensor, Tensor]:
        outcomes = [_rebuild(member, filled, self.settings.output) for member in self.members]
        errors = torch.stack(
            [_error(scaled, rebuilt, may_have_gaps=filled is not scaled) for _, rebuilt in outcomes]
        )
        return outcomes[0][0], errors.amax(
            dim=0
        ) if self.settings.combine == "max" else errors.mean(dim=0)

    def _scores(self, scaled: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        filled = self._filled(scaled)
        errors = self._rebuild_and_judge(scaled, filled)[1]
        return (
            errors,
            self.novelty(filled, errors),
            relative_errors(filled, errors, self.measured.usual),
        )

    def _mean_rebuilt(self, filled: Tensor) -> Tensor:
        total = _rebuild(self.members[0], filled, self.settings.output)[1]
        for member in self.members[1:]:
            total = total + _rebuild(member, filled, self.settings.output)[1]
        return total / len(self.members)

    def _filled(self, scaled: Tensor) -> Tensor:
        """What the network sees:

        `scaled` itself where nothing is missing, which a sum tells at a tenth of the cost of
        looking at each value.
        """
        if np.dtype(self.layout.dtype).kind != "f" or not scaled.sum().isnan():
            return scaled
        return torch.where(scaled.isnan(), torch.from_numpy(self.scaler.fill).to(scaled), scaled)


def _error(scaled: Tensor, rebuilt: Tensor, *, may_have_gaps: bool) -> Tensor:
    """One member's error of each row."""
    squares = (rebuilt - scaled).double().square_()
    observed = squares.new_full((len(squares),), squares.shape[1])
    if may_have_gaps:
        gaps = scaled.isnan()
        squares, observed = squares.masked_fill(gaps, 0), (~gaps).sum(dim=1)
    return squares.sum(dim=1) / observed


def _rebuild(member: nn.Module, filled: Tensor, output: str) -> tuple[Tensor, Tensor]:
    """Latents and reconstructions of one member."""
    latents = run_layers(member.get_submodule("encoder"), filled)
    return latents, finish_output(run_layers(member.get_submodule("decoder"), latents), output)


def to_dtype(rows: NDArray[np.float64], dtype: str) -> NDArray[Any]:
    """Cast rows to the source's dtype.

    Whole-number dtypes are rounded and clipped to their range first.
    """
    kind = np.dtype(dtype)
    if kind.kind not in "iu":
        with np.errstate(over="ignore"):
            return rows.astype(kind)
    limits = np.iinfo(kind)
    rounded = np.clip(np.rint(rows), limits.min, limits.max)
    if kind.itemsize < 8:
        return rounded.astype(kind)
    top = rounded >= float(limits.max)  # float64 cannot hold the largest 64-bit integers
    return np.where(top, limits.max, np.where(top, 0, rounded).astype(kind)).astype(kind)
