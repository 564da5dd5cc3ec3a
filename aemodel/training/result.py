"""What training comes to."""

from __future__ import annotations

from dataclasses import dataclass

from aemodel.model import Autoencoder


@dataclass(frozen=True)
class Epoch:
    """One pass over the fit rows.

    Its number from 1, and the mean loss a row of fit and validation rows (NaN without any).
    """

    number: int
    train_loss: float
    validation_loss: float


@dataclass(frozen=True)
class Trained:
    """A trained model, how its loss went, and the counts of clean rows on each side."""

    model: Autoencoder
    history: tuple[Epoch, ...]
    best_epoch: int
    n_fit: int
    n_validation: int
    n_calibration: int
    dead_latents: tuple[int, ...]
    validation_error: (
        float  # mean error of validation rows, scaled units, but for rows whose error is infinite
    )
    column_mean_error: float  # the same for a model that only knows the column means
    n_left_out: int  # fit rows that train.trim leaves out: those with the largest errors
    left_out: tuple[
        tuple[int, float], ...
    ]  # the first of them: row of the source, from 0, and error
