"""Synthetic anomalies planted in clean rows, and how well a score detects them, without labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from aemodel.measured import Rows, Vector
from aemodel.model import Autoencoder
from aemodel.rows.layout import cast_rows

SWAPPED = 0.2  # share of a row's features that come from another row
STRETCH = 1.5  # factor on a row's distance to the column means
NOISY = 0.2  # share of a row's features, adjacent ones, that get noise
BEYOND = 0.1  # share of a column's range, on either side, that a lone feature may lie beyond it


def iter_planted(rows: Rows, numbers: NDArray[np.bool_] | None = None) -> Iterator[Rows]:
    """Yield anomalies (n, *row_shape) of one kind after another; row i is made of clean row i.

    They have the rows' dtype and keep their NaN. The seeds are fixed. numbers: (d,), which columns
    are numbers, None if all are; others only take values from other rows.
    """
    flat = rows.reshape(len(rows), -1).astype(np.float64)
    plants = (_swapped, _scaled, _noisy, _lone)
    for number, plant in enumerate(plants if numbers is None or numbers.any() else (_swapped,)):
        # rows may lie too far out for any spread
        with np.errstate(over="ignore", invalid="ignore"):
            planted = plant(flat, np.random.default_rng(number))
        if numbers is not None and plant is not _swapped:
            planted = np.where(numbers, planted, flat)
        yield cast_rows(planted, rows.dtype.name).reshape(rows.shape)


def _swapped(flat: Vector, random: np.random.Generator) -> Vector:
    """Take some features of every row from another row."""
    others = flat[random.permutation(len(flat))]
    share = max(SWAPPED, 1 / flat.shape[1])
    return np.where(random.random(flat.shape) < share, others, flat)


def _scaled(flat: Vector, random: np.random.Generator) -> Vector:  # noqa: ARG001 # as its siblings
    """Move every row away from the column means."""
    means = _over_rows(np.nanmean, flat)
    return np.asarray(means + STRETCH * (flat - means))


def _noisy(flat: Vector, random: np.random.Generator) -> Vector:
    """Add noise with the columns' standard deviation to adjacent features."""
    n, d = flat.shape
    width = max(1, round(NOISY * d))
    first = random.integers(0, d - width + 1, n)[:, None]
    inside = (np.arange(d) >= first) & (np.arange(d) < first + width)
    return np.asarray(flat + inside * random.normal(size=flat.shape) * _over_rows(np.nanstd, flat))


def _lone(flat: Vector, random: np.random.Generator) -> Vector:
    """Move one feature of every row anywhere in its column's range or slightly beyond."""
    n, d = flat.shape
    low, high = _over_rows(np.nanmin, flat), _over_rows(np.nanmax, flat)
    which = random.integers(0, d, n)
    moved = flat.copy()
    place = random.uniform(-BEYOND, 1 + BEYOND, n)
    moved[np.arange(n), which] = low[which] + place * (high - low)[which]
    return moved


def _over_rows(statistic: Callable[..., Vector], flat: Vector) -> Vector:
    """Return a NaN-ignoring statistic of each column (d,); 0 for a column of NaN only."""
    known = ~np.isnan(flat).all(axis=0)
    found = np.zeros(flat.shape[1])
    found[known] = statistic(flat[:, known], axis=0)
    return found


def planted_auroc_parts(
    models: Sequence[Autoencoder], rows: Rows, *, by: str = "error"
) -> list[Vector]:
    """Return, for each model, every row's contribution (n,) to its AUROC on planted anomalies.

    The mean of the contributions is the AUROC, averaged over all kinds of anomalies.
    """
    clean = [model.scores_by(by, rows) for model in models]
    parts = [np.zeros(len(rows)) for _ in models]
    kinds = 0
    entity = models[0].layout.entity
    for planted in iter_planted(rows, models[0].numbers):
        kinds += 1
        if entity is not None:
            planted[:, entity] = rows[:, entity]
        for total, model, scores in zip(parts, models, clean, strict=True):
            total += auroc_parts(scores, model.scores_by(by, planted))
    return [total / kinds for total in parts]


def auroc_parts(clean: Vector, planted: Vector) -> Vector:
    """Return placement values (n,) of paired scores (n,), (n,).

    Their mean is the AUROC, and their spread gives its uncertainty (DeLong, DeLong &
    Clarke-Pearson, Biometrics 1988). Ties count half.
    """
    beaten = _share_below(np.sort(clean), planted)
    beating = 1 - _share_below(np.sort(planted), clean)
    return np.asarray(beaten + beating - beaten.mean())


def _share_below(ascending: Vector, scores: Vector) -> Vector:
    below = np.searchsorted(ascending, scores, side="left")
    not_above = np.searchsorted(ascending, scores, side="right")
    return np.asarray((below + not_above) / (2 * len(ascending)))
