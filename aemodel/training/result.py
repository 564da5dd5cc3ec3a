"""The result of training."""

from __future__ import annotations

from dataclasses import dataclass

from aemodel.model import Autoencoder
from aemodel.rows.far_values import FarValues


@dataclass(frozen=True)
class Epoch:
    """One pass over the fit rows.

    number: from 1. train_loss, validation_loss: mean loss per fit row and per validation row (NaN
    without validation rows).
    """

    number: int
    train_loss: float
    validation_loss: float


@dataclass(frozen=True)
class History:
    """All epochs, and the number of the one whose weights were kept."""

    epochs: tuple[Epoch, ...]
    best: int


@dataclass(frozen=True)
class Trained:
    """A trained model, its loss history, and counts and errors of the clean rows.

    n_fit, n_validation, n_calibration: clean rows in each part.
    dead_latents: indices of latents that are equal for all rows.
    validation_error: mean error of validation rows in scaled units; infinite errors are left out.
    column_mean_error: the same for a model that returns the column means.
    n_left_out: fit rows that train.trim leaves out: apart from the bulk, or in small groups.
    left_out: those with the largest errors, as row of the source (from 0) and error.
    far_values: single values of fit rows far outside all others, which were left out of training.
    """

    model: Autoencoder
    history: tuple[Epoch, ...]
    best_epoch: int
    n_fit: int
    n_validation: int
    n_calibration: int
    dead_latents: tuple[int, ...]
    validation_error: float
    column_mean_error: float
    n_left_out: int
    left_out: tuple[tuple[int, float], ...]
    far_values: tuple[FarValues, ...] = ()
