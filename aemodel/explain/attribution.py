"""Attribution: the features, or the region of an image, that contribute most to a row's score.

A row is compared with its reconstruction and, if novelty ranks rows, also with the mean of the
nearest clean rows. A feature's share of a comparison is its share of the squared differences.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aemodel.devices.places import exact_device
from aemodel.explain.causes import MAX_FEATURES, MIN_SHARE, NOTHING, Cause, Feature
from aemodel.explain.clean_range import clean_range
from aemodel.explain.entity_names import Texts
from aemodel.explain.mixed_causes import explain_mixed
from aemodel.explain.number_pairs import format_pair
from aemodel.explain.odd_patches import shares_by_pixel
from aemodel.model import Autoencoder
from aemodel.network.networks import MISSING, Rebuilt
from aemodel.rows.layout import is_signal
from aemodel.scores.novelty import ERROR, NEIGHBORS

NO_TEXTS: Texts = {}
HUGE = 1e100  # replaces infinite differences
TINY = float(np.finfo(np.float64).tiny)
CELLS = 3  # an image is divided into a grid of 3 x 3 cells
PLACES = (
    ("upper left", "upper middle", "upper right"),
    ("left", "middle", "right"),
    ("lower left", "lower middle", "lower right"),
)


@dataclass(frozen=True)
class _Comparison:
    """Rows against what was expected.

    expected: (n, d), in scaled units. weight: (n,), how much the comparison matters to the score.
    missing: (d,), what a missing value counts as. shares: (n, d), of each feature in the
    comparison, where squared differences do not say it.
    """

    expected: NDArray[np.floating]
    weight: NDArray[np.float64]
    missing: NDArray[np.float64]
    shares: NDArray[np.float64] | None = None

    def shares_of(self, index: int, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share (d,) of each feature of row `index`, which is `scaled` (d,)."""
        if self.shares is not None:
            return np.asarray(self.shares[index])
        return _shares(scaled, self.expected[index], self.missing)


@dataclass(frozen=True)
class _Values:
    """Values behind one row's score, (d,) float64 each; see `Feature`."""

    score: str
    actual: NDArray[np.float64]
    expected: NDArray[np.float64]
    residual: NDArray[np.float64]
    share: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def explain(
    model: Autoencoder,
    rows: Rebuilt,
    *,
    by: str = "error",
    texts: Texts = NO_TEXTS,
    top: int = MAX_FEATURES,
    columns: int = 0,
) -> list[Cause]:
    """Explain each row's rank by one of SCORES: by its error, or by its novelty if that ranks.

    texts: levels of categories that the bundle has no name for, by column and key. top: the most
    features of a cause. columns: features that are listed beside it, whatever they contribute.
    """
    if not len(rows.rows):
        return []
    if model.layout.kinds:
        return explain_mixed(model, rows, by=by, texts=texts, top=top, columns=columns)
    missing = np.where(model.scaler.complete, MISSING, 0.0)
    if by == "novelty":
        comparisons = _novelty_comparisons(model, rows, missing)
    else:
        comparisons = [_Comparison(rows.rebuilt, np.ones(len(rows.rows)), missing)]
    score = "novelty" if by == "novelty" else "error"
    return [
        _cause(model, _values(model, rows, index, comparisons, score), top, columns)
        for index in range(len(rows.rows))
    ]


def _novelty_comparisons(
    model: Autoencoder, rows: Rebuilt, missing: NDArray[np.float64]
) -> list[_Comparison]:
    """Compare with the nearest clean rows and with the reconstruction.

    The weights are the two terms of the novelty, as far as they exceed what is typical.
    """
    device = exact_device(model.device)
    filled = model.fill(torch.from_numpy(rows.scaled).to(device))
    points = model.to_points(filled)
    terms = model.novelty.excesses(points, torch.from_numpy(rows.errors).to(device))
    far, badly = (_finite(term.cpu().numpy()) for term in terms)
    typical = (far == 0) & (badly == 0)
    far, badly = np.where(typical, 1.0, far), np.where(typical, ERROR, badly)
    return [
        _nearest_comparison(model, filled, points, far),
        _Comparison(rows.rebuilt, badly, missing),
    ]


def _nearest_comparison(
    model: Autoencoder, filled: Tensor, points: Tensor, far: NDArray[np.float64]
) -> _Comparison:
    """Compare scaled rows (n, d) without NaN with the clean rows nearest to their `points`."""
    nothing = np.zeros(filled.shape[1])
    if model.features is None:
        return _Comparison(model.novelty.expected(points).cpu().numpy(), far, nothing)
    _, places = model.novelty.nearest(points, min(NEIGHBORS, len(model.novelty.points)))
    nearest = model.scaled_reference[places[0].cpu().numpy()]
    return _Comparison(nearest, far, nothing, shares_by_pixel(model, filled, places))


def _finite(term: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.nan_to_num(term, nan=HUGE, posinf=HUGE).clip(0, HUGE)


def _values(
    model: Autoencoder, rows: Rebuilt, index: int, comparisons: Sequence[_Comparison], score: str
) -> _Values:
    """Explain one row; a feature is expected to be what the comparison that matters most says."""
    scaled = rows.scaled[index].astype(np.float64)
    parts = np.stack([each.weight[index] * each.shares_of(index, scaled) for each in comparisons])
    sources = parts.argmax(axis=0)
    expected = np.stack([each.expected[index] for each in comparisons]).astype(np.float64)
    shown = expected[sources, np.arange(len(sources))]
    with np.errstate(invalid="ignore"):
        residual = (scaled - shown) / model.measured.residual_scale
    low, high = clean_range(model)
    return _Values(
        score=score,
        actual=rows.rows[index].ravel().astype(np.float64),
        expected=model.scaler.invert(shown),
        residual=residual,
        share=parts.sum(axis=0) / max(float(parts.sum()), TINY),
        low=low,
        high=high,
    )


def _shares(
    scaled: NDArray[np.float64], expected: NDArray[np.floating], missing: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Share (d,) of each feature in the squared differences of one row."""
    with np.errstate(invalid="ignore"):
        away = np.where(np.isinf(scaled), scaled, scaled - expected)
    away = np.where(np.isnan(scaled), missing, away)
    known = np.nan_to_num(away, nan=0.0, posinf=HUGE, neginf=-HUGE)
    squares = np.minimum(np.abs(known), HUGE) ** 2
    return np.asarray(squares / max(float(squares.sum()), TINY))


def _cause(model: Autoencoder, row: _Values, top: int, columns: int) -> Cause:
    heaviest = np.argsort(-row.share, kind="stable")[: max(top, columns)]
    found = tuple(_feature(model, row, int(index)) for index in heaviest)
    features = tuple(each for each in found[:top] if each.share and each.actual != each.expected)
    by_patch = row.score == "novelty" and model.features is not None
    patches = _sum_channels(row.share, model.layout.row_shape) if by_patch else None
    return replace(_named_cause(model, row, features), columns=found[:columns], patches=patches)


def _named_cause(model: Autoencoder, row: _Values, features: tuple[Feature, ...]) -> Cause:
    if not features:
        return Cause(NOTHING, features)
    if len(model.layout.row_shape) >= 2 and not is_signal(model.layout.row_shape):
        return Cause(_describe_region(model.layout.row_shape, row), features)
    named = [feature for feature in features if feature.share > MIN_SHARE] or features[:1]
    return Cause("; ".join(_describe_feature(feature, row.score) for feature in named), features)


def _feature(model: Autoencoder, row: _Values, index: int) -> Feature:
    actual, expected = float(row.actual[index]), float(row.expected[index])
    actual_text, expected_text = format_pair(actual, expected)
    return Feature(
        name=feature_name(model, index),
        actual=actual,
        expected=expected,
        residual=float(row.residual[index]),
        share=float(row.share[index]),
        actual_text="missing" if math.isnan(actual) else actual_text,
        expected_text=expected_text,
        low=float(row.low[index]),
        high=float(row.high[index]),
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


def _describe_feature(feature: Feature, score: str) -> str:
    share = f"({feature.share:.0%} of the {score})"
    if math.isnan(feature.actual):
        return f"{feature.name} is missing, never so in clean rows {share}"
    direction = "above" if feature.actual > feature.expected else "below"
    return (
        f"{feature.name} is {feature.actual_text}, {direction} the {feature.expected_text} "
        f"expected {share}"
    )


def _describe_region(shape: tuple[int, ...], row: _Values) -> str:
    """Describe the cell of a 3 x 3 grid that holds most of the score."""
    shares = _sum_channels(row.share, shape)
    rows, columns = _bands(shape[0]), _bands(shape[1])
    i, j, share = _heaviest_cell(shares, rows, columns)
    change = _sum_channels(row.actual - row.expected, shape)[np.ix_(rows[i], columns[j])]
    direction = "higher" if change.sum() > 0 else "lower"
    region = PLACES[i][j] if min(shape[:2]) >= CELLS else "part"
    span = f"rows {_span(rows[i])}, columns {_span(columns[j])}"
    return f"{region} ({span}): {direction} than expected, {share:.0%} of the {row.score}"


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
    """Find the cell with the largest share of the score: its indices, and that share."""
    sums = np.array([[shares[np.ix_(r, c)].sum() for c in columns] for r in rows])
    i, j = np.unravel_index(sums.argmax(), sums.shape)
    return int(i), int(j), float(sums[i, j])


def _span(indices: NDArray[np.intp]) -> str:
    return f"{indices[0]}–{indices[-1]}"
