"""Three kinds of evidence against a row: range, latent and residual, each with its own p-value.

A network can reconstruct a row perfectly although it lies far out (Bouman & Heskes 2025). Its
range or its latents still reveal it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from aemodel.model import Autoencoder
from aemodel.network.networks import Rebuilt
from aemodel.scores.neighbors import NearestRows
from aemodel.scores.p_values import p_values

SIDES = ("range", "latent", "residual")


def evidence(
    model: Autoencoder,
    scaled: NDArray[np.float32],
    latents: NDArray[np.float32],
    errors: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Compute the three kinds of evidence for rows in scaled units (n, d): (3, n), as in SIDES.

    latents: (n, k), errors: (n,), of the same rows. Higher is more anomalous.

    range: how far the most extreme feature lies beyond the reference rows that are fit rows, in
        units of the feature's range; for a level that no fit row has, 1.
    latent: distance to the nearest latents of such a row, in units of the stored range of latents.
    residual: reconstruction error.
    """
    return np.stack([_beyond_range(model, scaled), _latent_distance(model, latents), errors])


def evidence_p_values(model: Autoencoder, rows: Rebuilt) -> NDArray[np.float64] | None:
    """Compute conformal p-values (3, n) in the order of SIDES; None without calibration rows."""
    if not (len(model.calibration) and model.measured.evidence.size):
        return None
    found = evidence(model, rows.scaled, rows.latents, rows.errors)
    pairs = zip(model.measured.evidence, found, strict=True)
    return np.stack([p_values(clean, tonight) for clean, tonight in pairs])


def _beyond_range(model: Autoencoder, scaled: NDArray[np.float32]) -> NDArray[np.float64]:
    clean = model.scaled_reference[model.measured.reference.fitted]
    low, high = np.fmin.reduce(clean, axis=0), np.fmax.reduce(clean, axis=0)
    unit = np.where((high > low) & np.isfinite(high - low), high - low, 1.0)
    with np.errstate(invalid="ignore"):
        beyond = np.fmax(low - scaled, scaled - high) / unit
    if model.numbers is not None:
        beyond = np.where(model.numbers, beyond, _unseen(model, scaled))
    observed = np.where(np.isnan(beyond), -np.inf, beyond)  # a missing value is no evidence
    return np.asarray(observed.max(axis=1), dtype=np.float64)


def _unseen(model: Autoencoder, scaled: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mark levels that no fit row has with 1, all other values with 0: (n, d)."""
    levels = model.scaler.levels
    assert levels is not None
    found = np.zeros(scaled.shape)
    found[:, levels.columns] = scaled[:, levels.columns] > levels.sizes
    return found


def _latent_distance(model: Autoencoder, latents: NDArray[np.float32]) -> NDArray[np.float64]:
    span = (model.measured.latent_high - model.measured.latent_low).astype(np.float64)
    unit = np.where(span > 0, span, 1.0)
    clean = model.reference_latents[model.measured.reference.fitted]
    reference = torch.from_numpy((clean / unit).astype(np.float32))
    nearest, _ = NearestRows(reference)(torch.from_numpy((latents / unit).astype(np.float32)), 1)
    return np.asarray(np.nan_to_num(nearest[0].numpy(), nan=np.inf, posinf=np.inf))
