"""What is measured on clean rows after training, and kept in the bundle."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aemodel.decisions.block_scores import MeasuredBlocks
from aemodel.scores.mixed_novelty import MixedReference
from aemodel.scores.novelty import Reference
from aemodel.settings import SCORES

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
