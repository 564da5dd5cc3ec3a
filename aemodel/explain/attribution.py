"""Why a row stands out: the features, or the place in the picture, that weigh most in its error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aemodel.model import Autoencoder

MOST_FEATURES = 3
WORTH_NAMING = 0.01  # of the error
HUGE = 1e100  # stands for residuals beyond any number
CELLS = 3  # a picture is looked at in a grid of 3 x 3
PLACES = (
    ("upper left", "upper middle", "upper right"),
    ("left", "middle", "right"),
    ("lower left", "lower middle", "lower right"),
)


@dataclass(frozen=True)
class Feature:
    """One feature's part: actual and expected value in data units, its residual in units of the usual one, its share of the error."""

    name: str
    actual: float
    expected: float
    residual: float
    share: float


@dataclass(frozen=True)
class Cause:
    """Why one row stands out, in words and by its heaviest features."""

    words: str
    features: tuple[Feature, ...]


def explain(model: Autoencoder, rows: NDArray[Any]) -> list[Cause]:
    """One cause for each of rows (n, *row_shape)."""
    if not len(rows):
        return []
    residuals = model.residuals(rows)
    expected = model.reconstruct(rows).reshape(len(rows), -1)
    actual = rows.reshape(len(rows), -1).astype(np.float64)
    weights = (
        np.minimum(np.abs(np.nan_to_num(residuals, nan=0.0, posinf=HUGE, neginf=-HUGE)), HUGE) ** 2
    )
    shares = weights / np.maximum(weights.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    usual = residuals / model.measured.residual_scale
    return [_cause(model, *each) for each in zip(actual, expected, usual, shares, strict=True)]


def _cause(
    model: Autoencoder,
    actual: NDArray[np.float64],
    expected: NDArray[np.float64],
    residuals: NDArray[np.float64],
    shares: NDArray[np.float64],
) -> Cause:
    heaviest = np.argsort(-shares, kind="stable")[:MOST_FEATURES]
    features = tuple(
        Feature(
            feature_name(model, int(index)),
            *(float(values[index]) for values in (actual, expected, residuals, shares)),
        )
        for index in heaviest
    )
    if len(model.layout.row_shape) >= 2:
        return Cause(_place_in_words(model.layout.row_shape, actual, expected, shares), features)
    named = [feature for feature in features if feature.share > WORTH_NAMING] or features[:1]
    return Cause("; ".join(_feature_in_words(feature) for feature in named), features)


def feature_name(model: Autoencoder, index: int) -> str:
    """A column's name, or the feature's place in the row."""
    if model.layout.columns:
        return model.layout.columns[index]
    place = tuple(int(each) for each in np.unravel_index(index, model.layout.row_shape))
    if len(place) < 2:
        return f"feature {index}"
    return f"row {place[0]}, column {place[1]}" + "".join(f", channel {each}" for each in place[2:])


def _feature_in_words(feature: Feature) -> str:
    direction = "above" if feature.residual > 0 else "below"
    return f"{feature.name} is {feature.actual:.4g}, {direction} the {feature.expected:.4g} expected ({feature.share:.0%} of the error)"


def _place_in_words(
    shape: tuple[int, ...],
    actual: NDArray[np.float64],
    expected: NDArray[np.float64],
    shares: NDArray[np.float64],
) -> str:
    """The cell of a 3 x 3 grid that holds most of the error, with its rows and columns."""
    grid, change = (
        values.reshape(*shape[:2], -1).sum(axis=2) for values in (shares, actual - expected)
    )
    rows, columns = (np.array_split(np.arange(size), min(CELLS, size)) for size in shape[:2])
    cells = {
        (i, j): grid[np.ix_(r, c)].sum() for i, r in enumerate(rows) for j, c in enumerate(columns)
    }
    i, j = max(cells, key=lambda cell: cells[cell])
    brighter = "higher" if change[np.ix_(rows[i], columns[j])].sum() > 0 else "lower"
    where = PLACES[i][j] if min(shape[:2]) >= CELLS else "part"
    span = f"rows {rows[i][0]}–{rows[i][-1]}, columns {columns[j][0]}–{columns[j][-1]}"
    return f"{where} ({span}): {brighter} than expected, {cells[i, j]:.0%} of the error"
