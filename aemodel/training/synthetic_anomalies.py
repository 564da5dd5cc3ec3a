"""Anomalies planted in clean rows, and how well a score tells them from the rows that they were made of. No labels are needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aemodel.model import Autoencoder, to_dtype

SWAPPED = 0.2  # share of a row's features that come from other rows
STRETCH = 1.5  # how far a scaled row lies from the column means, of what it did
NOISY = 0.2  # share of a row's features, beside each other, that get noise
BEYOND = 0.1  # of a column's range, on either side, that a lone feature may be moved to


def iter_planted(rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Anomalies (n, *row_shape) of one kind after another, row i made of clean row i.

    In the same dtype, by a fixed seed. NaN stay.
    """
    flat = rows.reshape(len(rows), -1).astype(np.float64)
    for number, made in enumerate((_swapped, _scaled, _noisy, _lone)):
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # rows may lie too far out for any spread
            planted = made(flat, np.random.default_rng(number))
        yield to_dtype(planted, rows.dtype.name).reshape(rows.shape)


def _swapped(flat: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Some features of every row come from another row."""
    strangers = flat[random.permutation(len(flat))]
    return np.where(random.random(flat.shape) < max(SWAPPED, 1 / flat.shape[1]), strangers, flat)


def _scaled(flat: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:  # noqa: ARG001 # as its siblings
    """Every row lies further out."""
    means = _over_rows(np.nanmean, flat)
    return np.asarray(means + STRETCH * (flat - means))


def _noisy(flat: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """A run of features has noise as wide as its columns."""
    n, d = flat.shape
    width = max(1, round(NOISY * d))
    first = random.integers(0, d - width + 1, n)[:, None]
    inside = (np.arange(d) >= first) & (np.arange(d) < first + width)
    return np.asarray(flat + inside * random.normal(size=flat.shape) * _over_rows(np.nanstd, flat))


def _lone(flat: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """One feature of every row lies anywhere in its column's range or a little beyond."""
    n, d = flat.shape
    low, high = _over_rows(np.nanmin, flat), _over_rows(np.nanmax, flat)
    which = random.integers(0, d, n)
    moved = flat.copy()
    place = random.uniform(-BEYOND, 1 + BEYOND, n)
    moved[np.arange(n), which] = low[which] + place * (high - low)[which]
    return moved


def _over_rows(statistic: Any, flat: NDArray[np.float64]) -> NDArray[np.float64]:
    """A statistic of each column (d,) that passes over NaN; 0 for a column of nothing else."""
    known = ~np.isnan(flat).all(axis=0)
    found = np.zeros(flat.shape[1])
    found[known] = statistic(flat[:, known], axis=0)
    return found


def found_parts(
    models: Sequence[Autoencoder], rows: NDArray[Any], *, by: str = "error"
) -> list[NDArray[np.float64]]:
    """For each model, what every clean row and the anomalies made of it add to its AUROC, (n,).

    Their mean is the mean over all kinds.
    """
    clean = [model.scores_by(by, rows) for model in models]
    parts = [np.zeros(len(rows)) for _ in models]
    kinds = 0
    for planted in iter_planted(rows):
        kinds += 1
        for total, model, scores in zip(parts, models, clean, strict=True):
            total += auroc_parts(scores, model.scores_by(by, planted))
    return [total / kinds for total in parts]


def auroc_parts(clean: NDArray[np.float64], planted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Placement values of paired scores (n,), (n,), so that their mean is the AUROC and their spread its uncertainty.

    DeLong, DeLong & Clarke-Pearson, Biometrics 1988. Ties count half.
    """
    beaten = _share_below(np.sort(clean), planted)
    beating = 1 - _share_below(np.sort(planted), clean)
    return np.asarray(beaten + beating - beaten.mean())


def _share_below(
    ascending: NDArray[np.float64], scores: NDArray[np.float64]
) -> NDArray[np.float64]:
    sides = [np.searchsorted(ascending, scores, side=side) for side in ("left", "right")]
    return np.asarray((sides[0] + sides[1]) / (2 * len(ascending)))
