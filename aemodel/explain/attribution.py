"""Attribution: the features, or the region of an image, that contribute most to a row's error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.explain.number_pairs import format_pair
from aemodel.model import Autoencoder
from aemodel.rows.layout import is_signal

MAX_FEATURES = 3
MIN_SHARE = 0.01  # of the error, for a feature to be named
HUGE = 1e100  # replaces infinite residuals
CELLS = 3  # an image is divided into a grid of 3 x 3 cells
PLACES = (
    ("upper left", "upper middle", "upper right"),
    ("left", "middle", "right"),
    ("lower left", "lower middle", "lower right"),
)


@dataclass(frozen=True)
class Feature:
    """One feature's contribution to the error of a row.

    actual, expected: in data units, also as texts with digits enough to tell them apart.
    residual: in units of the feature's usual residual. share: of the error, 0 to 1.
    """

    name: str
    actual: float
    expected: float
    residual: float
    share: float
    actual_text: str
    expected_text: str


@dataclass(frozen=True)
class Cause:
    """Why one row is anomalous: in words, and by the features that contribute most."""

    words: str
    features: tuple[Feature, ...]


@dataclass(frozen=True)
class _Residuals:
    """Values behind one row's error, (d,) float64 each; see `Feature`."""

    actual: NDArray[np.float64]
    expected: NDArray[np.float64]
    residual: NDArray[np.float64]
    share: NDArray[np.float64]


def explain(model: Autoencoder, rows: NDArray[np.generic]) -> list[Cause]:
    """Explain each of rows (n, *row_shape)."""
    if not len(rows):
        return []
    residuals = model.residuals(rows)
    expected = model.reconstruct(rows).reshape(len(rows), -1)
    actual = rows.reshape(len(rows), -1).astype(np.float64)
    usual = residuals / model.measured.residual_scale
    values = zip(actual, expected, usual, _error_shares(residuals), strict=True)
    return [_cause(model, _Residuals(*each)) for each in values]


def _error_shares(residuals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of each feature in the squared error of its row, (n, d); missing values count as 0."""
    known = np.nan_to_num(residuals, nan=0.0, posinf=HUGE, neginf=-HUGE)
    squares = np.minimum(np.abs(known), HUGE) ** 2
    return np.asarray(
        squares / np.maximum(squares.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    )


def _cause(model: Autoencoder, row: _Residuals) -> Cause:
    heaviest = np.argsort(-row.share, kind="stable")[:MAX_FEATURES]
    features = tuple(_feature(model, row, int(index)) for index in heaviest)
    if len(model.layout.row_shape) >= 2 and not is_signal(model.layout.row_shape):
        return Cause(_describe_region(model.layout.row_shape, row), features)
    named = [feature for feature in features if feature.share > MIN_SHARE] or features[:1]
    return Cause("; ".join(_describe_feature(feature) for feature in named), features)


def _feature(model: Autoencoder, row: _Residuals, index: int) -> Feature:
    actual, expected = float(row.actual[index]), float(row.expected[index])
    actual_text, expected_text = format_pair(actual, expected)
    return Feature(
        name=feature_name(model, index),
        actual=actual,
        expected=expected,
        residual=float(row.residual[index]),
        share=float(row.share[index]),
        actual_text=actual_text,
        expected_text=expected_text,
    )


def feature_name(model: Autoencoder, index: int) -> str:
    """Name a feature by its column, or by its position in the row."""
    if model.layout.columns:
        return model.layout.columns[index]
    position = [int(each) for each in np.unravel_index(index, model.layout.row_shape)]
    if len(position) < 2:
        return f"feature {index}"
    if is_signal(model.layout.row_shape):
        return f"step {position[0]}, channel {position[1]}"
    row, column, *channels = position
    return f"row {row}, column {column}" + "".join(f", channel {each}" for each in channels)


def _describe_feature(feature: Feature) -> str:
    direction = "above" if feature.residual > 0 else "below"
    return (
        f"{feature.name} is {feature.actual_text}, {direction} the {feature.expected_text} "
        f"expected ({feature.share:.0%} of the error)"
    )


def _describe_region(shape: tuple[int, ...], row: _Residuals) -> str:
    """Describe the cell of a 3 x 3 grid that holds most of the error."""
    shares = _sum_channels(row.share, shape)
    rows, columns = _bands(shape[0]), _bands(shape[1])
    i, j, share = _heaviest_cell(shares, rows, columns)
    change = _sum_channels(row.actual - row.expected, shape)[np.ix_(rows[i], columns[j])]
    direction = "higher" if change.sum() > 0 else "lower"
    region = PLACES[i][j] if min(shape[:2]) >= CELLS else "part"
    span = f"rows {_span(rows[i])}, columns {_span(columns[j])}"
    return f"{region} ({span}): {direction} than expected, {share:.0%} of the error"


def _sum_channels(values: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Sum flat values (d,) of an image over its channels: (rows, columns)."""
    return np.asarray(values.reshape(*shape[:2], -1).sum(axis=2))


def _bands(size: int) -> list[NDArray[np.intp]]:
    """Divide the indices of one axis into at most CELLS bands."""
    return np.array_split(np.arange(size), min(CELLS, size))


def _heaviest_cell(
    shares: NDArray[np.float64],
    rows: Sequence[NDArray[np.intp]],
    columns: Sequence[NDArray[np.intp]],
) -> tuple[int, int, float]:
    """Find the cell with the largest share of the error: its indices, and that share."""
    sums = np.array([[shares[np.ix_(r, c)].sum() for c in columns] for r in rows])
    i, j = np.unravel_index(sums.argmax(), sums.shape)
    return int(i), int(j), float(sums[i, j])


def _span(indices: NDArray[np.intp]) -> str:
    return f"{indices[0]}–{indices[-1]}"
