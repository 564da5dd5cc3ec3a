"""A map of a night: clean and other rows in the two directions in which they spread most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from aemodel.decisions.feature_shift import center_and_spread
from aemodel.devices.places import exact_device
from aemodel.model import Autoencoder

MOST_CLEAN = 800
MOST_OTHERS = 500
NEIGHBORS = 5
LEAST_APART = 0.7  # else the map says nothing
SPREADS = 2.0  # above 0.5 as well, in standard deviations of as many clean rows

Points = NDArray[np.float64]


@dataclass(frozen=True)
class LatentMap:
    """clean (m, 2) and others (n, 2) on the map; share: of their spread that it shows, 0 to 1.

    by_latents: whether rows are placed by their latents, not by the points that novelty compares.
    """

    clean: Points
    others: Points
    share: float
    by_latents: bool


def map_of_rows(model: Autoencoder, rows: NDArray[np.generic], *, by: str) -> LatentMap | None:
    """Map rows (n, *row_shape), the first MOST_OTHERS of them, among reference rows.

    They are placed by their latents or, in tables with categories and where novelty ranks, by the
    points that novelty compares. Each coordinate is measured in its clean spread, or in that of all
    where points hold levels, and compressed by asinh, so that far rows do not squeeze all others.
    Clean and other rows weigh the same. None if the map would not tell these rows from clean ones;
    a single row never does.
    """
    reference, shown = model.measured.reference.rows, rows[:MOST_OTHERS]
    if not len(shown) or not len(reference):
        return None
    has_levels = model.measured.mixed is not None
    by_latents = by != "novelty" and not has_levels
    sample = slice(None, None, -(-len(reference) // MOST_CLEAN))
    if by_latents:
        clean, others = model.reference_latents[sample], model.encode(shown)
    else:
        clean, others = _points(model, reference[sample]), _points(model, shown)
    center, spread = center_and_spread(clean)
    if has_levels:
        spread = np.full_like(spread, np.sqrt(np.mean(clean.var(axis=0))) or 1.0)
    both = np.concatenate([clean, others]).astype(np.float64)
    known = np.nan_to_num(both, nan=0.0, posinf=1e30, neginf=-1e30)
    points = np.arcsinh((known - center) / spread)
    if not _tells_apart(points, len(clean)):
        return None
    places, share = _principal(points, _weights(len(clean), np.ones(len(others))))
    return LatentMap(places[: len(clean)], places[len(clean) :], share, by_latents)


def _points(model: Autoencoder, rows: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return rows as the points (n, k) that novelty compares."""
    scaled = torch.from_numpy(model.scale(rows)).to(exact_device(model.device))
    points = model.one_hot(model.to_points(model.fill(scaled)))
    return np.asarray(points.cpu().numpy(), np.float32)


def _weights(n_clean: int, others: Points) -> Points:
    """Return weights that give clean rows as much in all as the others, whose shares are (n,)."""
    return np.concatenate([np.full(n_clean, 1 / n_clean), others / others.sum()])


def _tells_apart(points: Points, n_clean: int) -> bool:
    """Return whether other rows lie farther from clean ones (the first) than these from each other.

    Each half of them is placed in directions that the other half gives: a few rows stand apart in
    their own directions, whatever they are.
    """
    count = len(points) - n_clean
    least = max(LEAST_APART, 0.5 + SPREADS / np.sqrt(12 * count))  # of a mean of uniform ranks
    if least > 1:
        return False
    half, ranks = np.arange(count) % 2 == 0, np.empty(count)
    for shown in (half, ~half):
        places, _ = _principal(points, _weights(n_clean, (~shown).astype(np.float64)))
        ranks[shown] = _ranks_apart(places[:n_clean], places[n_clean:][shown])
    return bool(ranks.mean() >= least)


def _ranks_apart(clean: Points, others: Points) -> Points:
    """Return which share of clean rows (m, 2) each of other rows (n, 2) is farther away than.

    Measured by the distance to the NEIGHBORS nearest clean rows.
    """
    tree = cKDTree(clean)
    own = np.sort(tree.query(clean, [NEIGHBORS + 1])[0].ravel())  # itself is the nearest
    distances = tree.query(others, [NEIGHBORS])[0].ravel()
    below, up_to = (np.searchsorted(own, distances, side) for side in ("left", "right"))
    return np.asarray((below + up_to) / (2 * len(own)))


def _principal(points: Points, weights: Points) -> tuple[Points, float]:
    """Return points (n, k) in their two principal directions, and the share of the spread."""
    away = points - np.average(points, axis=0, weights=weights)
    weighted = away * np.sqrt(weights / weights.sum())[:, None]
    narrow = 2 <= points.shape[1] < len(points)  # the smaller product takes less memory and time
    values, vectors = np.linalg.eigh(weighted.T @ weighted if narrow else weighted @ weighted.T)
    directions = vectors[:, [-1, -2]] if narrow else weighted.T @ vectors[:, [-1, -2]]
    directions /= np.maximum(np.linalg.norm(directions, axis=0), 1e-300)
    largest = directions[np.abs(directions).argmax(axis=0), [0, 1]]
    places = away @ (directions * np.where(largest < 0, -1.0, 1.0))
    total = float(values.clip(0).sum())
    return places, float(values[-2:].clip(0).sum()) / total if total > 0 else 0.0
