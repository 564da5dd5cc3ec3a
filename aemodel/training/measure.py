"""Measure a fitted model on clean rows that it was not fitted on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from aemodel.decisions.feature_shift import FeatureTally, center_and_spread
from aemodel.decisions.ranking import Ranking
from aemodel.measured import Measured, Rows, Vector
from aemodel.model import Autoencoder
from aemodel.rows.far_values import count_far_values
from aemodel.rows.layout import NUMBER, Layout
from aemodel.rows.quantiles import column_quantiles
from aemodel.rows.splits import hasher_for, sides_of
from aemodel.rows.training_rows import FitRows
from aemodel.scores.mixed_novelty import MixedReference, distance_weights, measure_parts
from aemodel.scores.novelty import Reference
from aemodel.scores.relative_error import usual_error
from aemodel.scores.surprise import Margins
from aemodel.settings import ModelSettings
from aemodel.training.calibrate import calibrate
from aemodel.training.reference_rows import (
    MOST_ROWS,
    build_reference,
    judge_of_validation,
    known_pieces,
    sample_fit_rows,
    unseen_rows,
    without_itself,
)
from aemodel.training.result import History, Trained

# latents beyond these quantiles are stored as exceptions: a wider range would make all others
# coarser
TAIL = 0.0005
FEWEST_FOR_TAIL = 2_000
LEAST_SHARE = 0.05  # of the error of the column means, added to what errors are measured in
RANGE = (0.01, 0.99)  # quantiles between which values of clean rows are shown as usual
MOST_LISTED = 100  # rows left out by train.trim that are listed
MOST_COMPARED = 4_000  # unseen rows that novelty and relative error are calibrated on


def unmeasured_model(
    members: tuple[nn.Module, ...],
    rows: FitRows,
    *,
    settings: ModelSettings,
    layout: Layout,
    device: str = "cpu",
) -> Autoencoder:
    """Return fitted networks as a model that can encode and reconstruct, but not score."""
    empty = replace(_nothing_measured(), residual_scale=np.ones(layout.n_features))
    facts: dict[str, object] = {"blocks": rows.blocks.kind} if rows.blocks else {}
    names = layout.columns or [f"feature {index}" for index in range(layout.n_features)]
    imprecise = {names[index]: why for index, why in sorted(rows.imprecise.items())}
    facts |= {"imprecise": imprecise} if imprecise else {}
    return Autoencoder(members, settings, layout, rows.scaler, empty, rows.train, facts, device)


def measure_model(model: Autoencoder, rows: FitRows, *, history: History) -> Trained:
    """Measure scales on validation rows and scores on calibration rows.

    Without validation rows, fit rows take their place.
    """
    unseen = unseen_rows(rows)
    model = replace(model, measured=_column_scales(model, rows, unseen))
    latents, errors = model.encode_and_errors(unseen)
    scaled = replace(model, measured=_scales(model, rows, unseen, latents=latents, errors=errors))
    known = comparable_rows(model, unseen, errors)
    comparable = unseen if known.all() else unseen[known]
    return Trained(
        replace(model, measured=calibrate(scaled, rows)),
        history.epochs,
        history.best,
        rows.n_fit + rows.n_left_out,
        rows.n_validation,
        rows.n_calibration,
        dead_latents(latents),
        float(errors[known].mean()) if known.any() else float("inf"),
        column_mean_error(model, rows.column_means, comparable),
        rows.n_left_out,
        left_out(model, rows),
        count_far_values(rows.fences, rows.fit_pieces()),
    )


def _column_scales(model: Autoencoder, rows: FitRows, unseen: Rows) -> Measured:
    """Measure what the scores of rows with columns of several kinds need."""
    scale = residual_scale(model, unseen)
    if model.expansion is None:
        return replace(model.measured, residual_scale=scale)
    sample = model.scale(sample_fit_rows(rows))
    raised = np.sqrt(scale**2 + LEAST_SHARE * model.usual_errors(sample))
    mixed = start_mixed(model, rows, sample)
    return replace(model.measured, residual_scale=raised, mixed=mixed)


def start_mixed(model: Autoencoder, rows: FitRows, sample: NDArray[np.float32]) -> MixedReference:
    """Measure distances and margins on a scaled sample (n, d); typical values come later.

    Pairs of values are counted in all known rows: in a sample, rare ones would not show.
    """
    levels = model.scaler.levels
    assert model.expansion is not None
    assert levels is not None
    deviations = _deviations(sample[:, list(model.layout.of_kind(NUMBER))].astype(np.float64))
    pieces = map(model.scale, known_pieces(rows, MOST_ROWS))
    return MixedReference(
        weights=distance_weights(model.expansion, levels, deviations),
        typical=np.zeros(2),
        usual=np.zeros((2, 1)),
        margins=Margins.of(sample, model.layout, levels, pieces),
    )


def _deviations(values: Vector) -> Vector:
    """Return the standard deviation (d,) of known values (n, d); 0 for a column without any."""
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    away = np.where(known, values, 0.0) - np.where(known, values, 0.0).sum(axis=0) / count
    return np.asarray(np.sqrt((np.where(known, away, 0.0) ** 2).sum(axis=0) / count))


def _scales(
    model: Autoencoder,
    rows: FitRows,
    unseen: Rows,
    *,
    latents: NDArray[np.float32],
    errors: Vector,
) -> Measured:
    """Measure all but the calibration scores on unseen rows with their latents and errors."""
    count = min(len(unseen), MOST_COMPARED)
    places = np.linspace(0, len(unseen) - 1, count).astype(np.intp)  # evenly over the source
    compared, their_errors = unseen[places], errors[places]
    low, high = latent_range(latents)
    measured = replace(
        model.measured,
        latent_low=low,
        latent_high=high,
        reference=build_reference(model, rows, compared, their_errors),
        usual=usual_error(rows.tensor(compared), torch.from_numpy(their_errors)),
    )
    if measured.mixed is not None:
        ready = replace(model, measured=measured)
        mixed = _typical_parts(ready, rows, compared, their_errors)
        measured = replace(measured, mixed=mixed)
    ready = replace(model, measured=measured)
    center, spread, usual_features = feature_scales(ready, compared)
    return replace(
        measured,
        feature_center=center,
        feature_spread=spread,
        feature_usual=usual_features,
        feature_range=feature_range(ready, compared),
    )


def _typical_parts(
    model: Autoencoder, rows: FitRows, unseen: Rows, errors: Vector
) -> MixedReference:
    """Measure the parts of novelty on unseen rows (n, d) with these errors (n,)."""
    if len(rows.validation):
        model = judge_of_validation(model)
    else:
        unseen = model.measured.reference.rows
        errors = model.errors(unseen)
        model = without_itself(model, "content")
    assert model.measured.mixed is not None
    assert model.mixed_novelty is not None
    scaled = torch.from_numpy(model.scale(unseen))
    points = model.to_points(rows.tensor(unseen))
    found = torch.from_numpy(errors).to(points.device)
    parts = model.mixed_novelty.parts(scaled, points, found)
    typical, usual = measure_parts(parts)
    return replace(model.measured.mixed, typical=typical, usual=usual)


def left_out(model: Autoencoder, rows: FitRows) -> tuple[tuple[int, float], ...]:
    """List the MOST_LISTED worst fit rows that train.trim leaves out: row of the source, error."""
    count = min(MOST_LISTED, rows.n_left_out)
    if not count:
        return ()
    worst = Ranking.of(count, np.empty(0), np.empty(0, np.int64))
    start, hasher = 0, hasher_for(rows.train, rows.block_split)
    for chunk in rows.read_chunks():
        in_fit = rows.in_fit.part(start, start + len(chunk))
        places = np.flatnonzero(sides_of(hasher(chunk), rows.train).fit & ~in_fit)
        worst = worst.merge(Ranking.of(count, model.errors(chunk[places]), start + places))
        start += len(chunk)
    return tuple(zip(worst.rows.tolist(), worst.scores.tolist(), strict=True))


def _nothing_measured() -> Measured:
    none = np.empty(0)
    no_range = np.empty(0, np.float32)
    return Measured(
        calibration=none,
        novelty_calibration=none,
        relative_calibration=none,
        usual=np.full(3, np.nan),
        evidence=np.empty((3, 0)),
        residual_scale=none,
        feature_center=none,
        feature_spread=none,
        feature_usual=np.empty((3, 0)),
        latent_low=no_range,
        latent_high=no_range,
        reference=Reference(
            rows=none,
            copies=np.empty(0, np.int64),
            held_out=np.empty(0, np.int64),
            floor=np.zeros(2),
            typical=np.zeros(2),
        ),
    )


def comparable_rows(model: Autoencoder, rows: Rows, errors: Vector) -> NDArray[np.bool_]:
    """Return which rows, with errors (n,), can be compared with the column means.

    Rows without values or beyond float32 have no finite error. A gap in a column that has none in
    the fit rows counts as a constant, whatever the model; such rows are used only without others.
    """
    known = np.isfinite(errors)
    gaps = (np.isnan(model.scale(rows)) & model.scaler.complete).any(axis=1)
    return known & ~gaps if (known & ~gaps).any() else known


def dead_latents(latents: NDArray[np.float32]) -> tuple[int, ...]:
    """Return the indices of latents (n, k) that are equal for all rows; () for a single row."""
    if len(latents) < 2:
        return ()
    dead = np.flatnonzero(latents.max(axis=0) == latents.min(axis=0))
    return tuple(int(index) for index in dead)


def column_mean_error(model: Autoencoder, means: Vector, rows: Rows) -> float:
    """Return the mean error of a model that returns the column means (d,), in scaled units.

    With columns of several kinds, of one that knows how frequent each value is.
    """
    if model.expansion is not None:
        errors = model.usual_errors(model.scale(rows)) / model.measured.residual_scale**2
        return float(np.nanmean(errors[list(model.layout.features)]))
    expected = ((means - model.scaler.center) / model.scaler.scale).astype(np.float32)
    of_rows = [
        np.nanmean(np.square(model.scale(piece) - expected, dtype=np.float64), axis=1)
        for piece in np.split(rows, range(model.size, len(rows), model.size))
    ]
    return float(np.concatenate(of_rows).mean()) if len(rows) else float("inf")


def feature_scales(model: Autoencoder, unseen: Rows) -> tuple[Vector, Vector, Vector]:
    """Measure the scaled features of rows: center (d,), spread (d,) and what is usual (3, d)."""
    scaled = model.to_values(model.scale(unseen))
    center, spread = center_and_spread(scaled)
    return center, spread, FeatureTally.of(scaled, center, spread).usual()


def feature_range(model: Autoencoder, unseen: Rows) -> Vector:
    """Measure the 1 % and 99 % quantiles (2, d) of the scaled features of rows."""
    scaled = model.scale(unseen).astype(np.float64)
    return column_quantiles(np.where(np.isfinite(scaled), scaled, np.nan), RANGE)


def residual_scale(model: Autoencoder, unseen: Rows) -> Vector:
    """Return the root mean square of each feature's residual in scaled units, (d,).

    1 where it is 0.
    """
    total, count = np.zeros(model.layout.n_features), np.zeros(model.layout.n_features)
    for start in range(0, min(len(unseen), MOST_ROWS), model.size):
        residuals = model.residuals(unseen[start : start + model.size])
        with np.errstate(over="ignore"):
            total += np.nansum(residuals**2, axis=0)
        count += (~np.isnan(residuals)).sum(axis=0)
    return _usable_or_1(np.sqrt(total / np.maximum(count, 1)))


def _usable_or_1(spread: Vector) -> Vector:
    return np.where((spread > 0) & np.isfinite(spread), spread, 1.0)


def latent_range(latents: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the range (k,), (k,) that latents (n, k) are stored in.

    The central 99.9 % if there are enough rows to estimate it, otherwise all.
    """
    if len(latents) < FEWEST_FOR_TAIL:
        return latents.min(axis=0), latents.max(axis=0)
    low, high = np.quantile(latents, [TAIL, 1 - TAIL], axis=0)
    return low.astype(np.float32), high.astype(np.float32)
