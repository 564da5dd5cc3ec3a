"""What speaks against a row, seen from three sides, each with a p-value of its own: range, latent and residual.

A network can rebuild a row perfectly though it lies far out (Bouman & Heskes 2025); its range or its latents then still tell.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aemodel.model import Autoencoder
from aemodel.scores.p_values import p_values

SIDES = ("range", "latent", "residual")


def evidence(model: Autoencoder, rows: NDArray[Any]) -> NDArray[np.float64]:
    """The three sides of rows (n, *row_shape): (3, n), higher is more anomalous.

    range: how far the feature farthest out lies beyond the clean reference rows, in units of its
    range; latent: distance to the nearest latents of a reference row, in units of the stored range
    of latents; residual: the reconstruction error.
    """
    latents, errors = model.encode_and_errors(rows)
    return np.stack([_beyond_range(model, rows), _latent_distance(model, latents), errors])


def evidence_p_values(model: Autoencoder, rows: NDArray[Any]) -> NDArray[np.float64] | None:
    """Conformal p-values (3, n) of the three sides; None without calibration rows."""
    if not len(model.calibration):
        return None
    return np.stack(
        [
            p_values(clean, found)
            for clean, found in zip(model.measured.evidence, evidence(model, rows), strict=True)
        ]
    )


def _beyond_range(model: Autoencoder, rows: NDArray[Any]) -> NDArray[np.float64]:
    clean, scaled = model.scale(model.measured.reference.rows), model.scale(rows)
    low, high = np.fmin.reduce(clean, axis=0), np.fmax.reduce(clean, axis=0)
    unit = np.where((high > low) & np.isfinite(high - low), high - low, 1.0)
    with np.errstate(invalid="ignore"):
        beyond = np.fmax(low - scaled, scaled - high) / unit
    return np.asarray(
        np.where(np.isnan(beyond), -np.inf, beyond).max(axis=1), dtype=np.float64
    )  # a gap is no evidence


def _latent_distance(model: Autoencoder, latents: NDArray[np.float32]) -> NDArray[np.float64]:
    span = (model.measured.latent_high - model.measured.latent_low).astype(np.float64)
    unit = np.where(span > 0, span, 1.0)
    points, found = (
        torch.from_numpy(each / unit)
        for each in (model.encode(model.measured.reference.rows), latents)
    )
    nearest = (
        torch.cat([torch.cdist(block, points).amin(dim=1) for block in torch.split(found, 1_024)])
        if len(found)
        else torch.empty(0)
    )
    return np.nan_to_num(nearest.numpy().astype(np.float64), nan=np.inf, posinf=np.inf)
