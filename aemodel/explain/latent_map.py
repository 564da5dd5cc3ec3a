"""A map of a night: clean and other rows in the two directions in which they spread most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from aemodel.decisions.feature_shift import center_and_spread
from aemodel.model import Autoencoder
from aemodel.network.networks import exact_device

MOST_CLEAN = 800
MOST_OTHERS = 500

Points = NDArray[np.float64]


@dataclass(frozen=True)
class LatentMap:
    """clean (m, 2) and others (n, 2) on the map; share: of their spread that it shows, 0 to 1."""

    clean: Points
    others: Points
    share: float


def map_of_rows(model: Autoencoder, rows: NDArray[np.generic], *, by: str) -> LatentMap | None:
    """Map rows (n, *row_shape), the first MOST_OTHERS of them, among reference rows.

    They are placed by their latents or, where novelty ranks, by the points it compares. Each
    coordinate is measured in its clean spread and compressed by asinh, so that far rows do not
    squeeze all others. Clean and other rows weigh the same. None without rows to place.
    """
    if not len(rows):
        return None
    clean, others = _coordinates(model, rows[:MOST_OTHERS], by)
    clean = clean[:: -(-len(clean) // MOST_CLEAN)]
    center, spread = center_and_spread(clean)
    both = np.concatenate([clean, others]).astype(np.float64)
    known = np.nan_to_num(both, nan=0.0, posinf=1e30, neginf=-1e30)
    weights = np.repeat([1 / len(clean), 1 / len(others)], [len(clean), len(others)])
    places, share = _principal(np.arcsinh((known - center) / spread), weights)
    return LatentMap(places[: len(clean)], places[len(clean) :], share)


def _coordinates(
    model: Autoencoder, rows: NDArray[np.generic], by: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return reference rows (m, k) and rows (n, k) by what they are compared in."""
    if by != "novelty":
        return model.reference_latents, model.encode(rows)
    scaled = torch.from_numpy(model.scale(rows)).to(exact_device(model.device))
    points = model.to_points(model.fill(scaled))
    return model.novelty.points.cpu().numpy(), points.cpu().numpy()


def _principal(points: Points, weights: Points) -> tuple[Points, float]:
    """Return points (n, k) in their two principal directions, and the share of the spread."""
    away = points - np.average(points, axis=0, weights=weights)
    root = np.sqrt(weights / weights.sum())[:, None]
    values, vectors = np.linalg.eigh((away * root) @ (away * root).T)
    directions = (away * root).T @ vectors[:, [-1, -2]]
    directions /= np.maximum(np.linalg.norm(directions, axis=0), 1e-300)
    largest = directions[np.abs(directions).argmax(axis=0), [0, 1]]
    places = away @ (directions * np.where(largest < 0, -1.0, 1.0))
    total = float(values.clip(0).sum())
    return places, float(values[-2:].clip(0).sum()) / total if total > 0 else 0.0
