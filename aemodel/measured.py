"""What is measured on clean rows after training and kept in the bundle, beside the networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aemodel.decisions.block_scores import BlockScores, MeasuredBlocks
from aemodel.devices.places import exact_device
from aemodel.errors import DataError
from aemodel.network.expansion import Expansion
from aemodel.network.gaps import fill_gaps
from aemodel.network.point_levels import PointLevels
from aemodel.pictures.features import PictureFeatures
from aemodel.rows.layout import NUMBER, Layout
from aemodel.rows.scaling import Scaler
from aemodel.scores.mixed_novelty import MixedNovelty, MixedReference
from aemodel.scores.novelty import Novelty, Reference
from aemodel.scores.surprise import Surprise
from aemodel.series.model import SeriesModel
from aemodel.settings import SCORES, ModelSettings, TrainSettings

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
    feature_range: (2, d) float64, the 1 % and 99 % quantiles of scaled clean rows; (2, 0) in models
        trained before it was measured.
    latent_low, latent_high: (k,) float32, the range that latents are stored in.
    reference: the clean rows that novelty compares with. mixed: None if all columns are numbers.
    blocks: None if clean rows are not known to come in blocks.
    entities: (3, n) int32, which entity each calibration row belongs to, in the order of each of
        SCORES; (3, 0) without entities.
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
    mixed: MixedReference | None = None
    blocks: MeasuredBlocks | None = None
    feature_range: Vector = field(default_factory=lambda: np.empty((2, 0)))
    entities: NDArray[np.int32] = field(default_factory=lambda: np.empty((3, 0), np.int32))

    def calibration_by(self, score: str) -> Vector:
        """Return the calibration rows' scores by one of SCORES, ascending."""
        by_score = {
            "error": self.calibration,
            "novelty": self.novelty_calibration,
            "relative": self.relative_calibration,
        }
        return by_score[score]

    def entities_by(self, score: str) -> NDArray[np.int32]:
        """Return which entity each of `calibration_by(score)` belongs to; (0,) without entities."""
        return np.asarray(self.entities[SCORES.index(score)])


@dataclass(frozen=True)
class MeasuredNetworks:
    """What a bundle keeps of networks: settings, layout, scales, and what rows are compared with.

    decoded: the columns that the decoder gives, all of them numbers; () for all.
    series: what judges windows of rows in order of time, with [series].
    features: what novelty compares pictures by, with model.features.
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
    features: PictureFeatures | None = None

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
        points = self.to_points(self.fill(scaled))
        return Novelty(self.measured.reference, points, self.point_levels)

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
        mixed, itself = self.measured.mixed, bool(self.measured.reference.itself)
        surprise = Surprise(mixed.margins, levels, self.layout, without_itself=itself)
        return MixedNovelty(mixed, self.novelty, surprise)

    @cached_property
    def expansion(self) -> Expansion | None:
        """What the network sees of columns of several kinds; None if all are numbers."""
        levels = self.scaler.levels
        return Expansion(self.layout.kinds, levels, self.device) if levels is not None else None

    def usual_errors(self, scaled: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return `Expansion.usual_errors` (d,) of scaled rows (n, d); the host computes them."""
        assert self.scaler.levels is not None
        expansion = Expansion(self.layout.kinds, self.scaler.levels, "cpu")
        return expansion.usual_errors(torch.from_numpy(scaled)).numpy()

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
        """Return scaled rows (n, d) without NaN as points between which distances are taken.

        They lie where distances are computed, wherever the rows do. With columns of several kinds,
        points with levels, see `aemodel.network.point_levels`.
        """
        exact = exact_device(self.device)
        if self.features is not None:
            found: Tensor = self.features(filled.to(self.device))
            return found.to(exact)
        if self.expansion is None or self.measured.mixed is None:
            return filled.to(exact)
        rows = filled.to(self.device)
        return self.expansion.points(rows, self._weights.to(rows)).to(exact)

    def one_hot(self, points: Tensor) -> Tensor:
        """Return points with an axis for each level, if they have any."""
        return points if self.point_levels is None else self.point_levels.one_hot(points)

    @cached_property
    def point_levels(self) -> PointLevels | None:
        """The levels in points with columns of several kinds; None without categories."""
        return self.point_levels_on(exact_device(self.device))

    def point_levels_on(self, device: torch.device | str) -> PointLevels | None:
        """Return `point_levels` for points on another device."""
        if self.expansion is None or self.measured.mixed is None or not self.expansion.sizes:
            return None
        weights = self._weights.to(device)
        return PointLevels(self.expansion.first_level, self.expansion.sizes, weights)

    def fill(self, scaled: Tensor) -> Tensor:
        """Return scaled rows (n, d) with the column's median for NaN; see `fill_gaps`."""
        return fill_gaps(scaled, self._fill)

    @cached_property
    def _weights(self) -> Tensor:
        """Of `Expansion.points`."""
        assert self.measured.mixed is not None
        return torch.from_numpy(self.measured.mixed.weights).to(exact_device(self.device))

    @cached_property
    def _fill(self) -> Tensor:
        return torch.from_numpy(self.scaler.fill).to(self.device)

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
