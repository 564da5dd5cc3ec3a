"""What is measured once the weights are fixed, on rows that they were not fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from aemodel.fit_rows import FitRows
from aemodel.model import Autoencoder, Layout, Measured
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.trained import Epoch, Trained

TAIL = 0.0005  # latents beyond these quantiles are stored as exceptions: a wider range would coarsen every other one
FEWEST_FOR_TAIL = 2_000
MOST_ROWS = 50_000  # rows that scales of residuals and latents are measured on


def measure(
    members: tuple[nn.Module, ...],
    rows: FitRows,
    *,
    history: Sequence[Epoch],
    best_epoch: int,
    model: ModelSettings,
    train: TrainSettings,
    layout: Layout,
    device: str,
) -> Trained:
    """Residual and latent scales on validation rows (fit rows where there are none), then the errors of the calibration rows."""
    unseen = rows.validation if len(rows.validation) else some_fit_rows(rows)
    empty = np.empty(0)
    unmeasured = Measured(
        calibration=empty, residual_scale=empty, latent_low=empty.astype(np.float32), latent_high=empty.astype(np.float32)
    )
    bare = Autoencoder(members, model, layout, rows.scaler, unmeasured, train, {}, device)
    latents, errors = bare.encode_and_errors(unseen)
    low, high = latent_range(latents)
    measured = Measured(calibration=calibrate(bare, rows), residual_scale=residual_scale(bare, unseen), latent_low=low, latent_high=high)
    return Trained(
        Autoencoder(members, model, layout, rows.scaler, measured, train, {}, device),
        tuple(history),
        best_epoch,
        rows.n_fit,
        rows.n_validation,
        rows.n_calibration,
        dead_latents(latents),
        float(errors.mean()),
        column_mean_error(bare, rows.column_means, unseen),
    )


def some_fit_rows(rows: FitRows) -> NDArray[Any]:
    """Fit rows, taken evenly over the source: at most MOST_ROWS, and an eighth of the memory."""
    pieces = [rows.fit] if rows.fit is not None else rows.sides("fit")
    kept: list[NDArray[Any]] = []
    step = 0
    for piece in pieces:
        step = step or -(-rows.n_fit // max(1, min(MOST_ROWS, rows.memory_bytes // 8 // max(1, piece[:1].nbytes))))
        kept.append(piece[::step])
    return np.concatenate(kept)


def dead_latents(latents: NDArray[np.float32]) -> tuple[int, ...]:
    """Indices of latents (n, k) that are the same for every row; none can be told from a single row."""
    if len(latents) < 2:
        return ()
    return tuple(int(index) for index in np.flatnonzero(latents.max(axis=0) == latents.min(axis=0)))


def column_mean_error(model: Autoencoder, means: NDArray[np.float64], rows: NDArray[Any]) -> float:
    """Mean error of rows (n, *row_shape) for a model that gives back the column means (d,), in scaled units."""
    total, observed = np.zeros(len(rows)), np.zeros(len(rows))
    expected = ((means - model.scaler.center) / model.scaler.scale).astype(np.float32)
    for start in range(0, len(rows), model.size):
        scaled = model.scale(rows[start : start + model.size])
        total[start : start + model.size] = np.nansum((scaled - expected).astype(np.float64) ** 2, axis=1)
        observed[start : start + model.size] = (~np.isnan(scaled)).sum(axis=1)
    seen = observed > 0
    return float((total[seen] / observed[seen]).mean()) if seen.any() else float("inf")


def calibrate(model: Autoencoder, rows: FitRows) -> NDArray[np.float64]:
    """Errors of all calibration rows, ascending; empty where train.calibration is 0."""
    if not rows.n_calibration:
        return np.empty(0)
    return np.sort(np.concatenate([model.errors(piece) for piece in rows.sides("calibration")]))


def residual_scale(model: Autoencoder, unseen: NDArray[Any]) -> NDArray[np.float64]:
    """Root mean square of each feature's residual over rows (n, *row_shape), in scaled units, (d,); 1 where it is 0."""
    total, count = np.zeros(model.layout.n_features), np.zeros(model.layout.n_features)
    for start in range(0, min(len(unseen), MOST_ROWS), model.size):
        residuals = model.residuals(unseen[start : start + model.size])
        with np.errstate(over="ignore"):
            total += np.nansum(residuals**2, axis=0)
        count += (~np.isnan(residuals)).sum(axis=0)
    spread = np.sqrt(total / np.maximum(count, 1))
    return np.where((spread > 0) & np.isfinite(spread), spread, 1.0)


def latent_range(latents: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The range (k,), (k,) that latents (n, k) are stored in: the inner 99.9 % where there are rows enough to know it, else all."""
    if len(latents) < FEWEST_FOR_TAIL:
        return latents.min(axis=0), latents.max(axis=0)
    low, high = np.quantile(latents, [TAIL, 1 - TAIL], axis=0)
    return low.astype(np.float32), high.astype(np.float32)
