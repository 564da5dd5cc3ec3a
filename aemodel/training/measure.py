"""What is measured once the weights are fixed, on rows that they were not fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from aemodel.decisions.ranking import Ranking
from aemodel.explain.evidence import evidence
from aemodel.model import Autoencoder, Measured
from aemodel.rows.layout import Layout
from aemodel.rows.splits import row_hashes, sides_of
from aemodel.rows.training_rows import FEWEST_FIT_ROWS, FitRows
from aemodel.scores.novelty import FLOOR, LEAST, Novelty, Reference, coreset
from aemodel.scores.relative_error import usual_error
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.result import Epoch, Trained

# latents beyond these quantiles are stored as exceptions: a wider range would coarsen every other
# one
TAIL = 0.0005
FEWEST_FOR_TAIL = 2_000
REFERENCE_ROWS = 2_000
REFERENCE_BYTES = 16_000_000
MOST_CANDIDATES = 20_000  # that the reference is chosen from
CANDIDATE_VALUES = 8_000_000
MOST_LISTED = 100  # rows left out by train.trim that are named
MOST_COMPARED = 4_000  # unseen rows that tell what is usual
MOST_ROWS = 50_000  # rows that scales of residuals and latents are measured on


def measure(
    members: tuple[nn.Module, ...],
    rows: FitRows,
    *,
    history: Sequence[Epoch],
    best_epoch: int,
    model: ModelSettings,
    train: TrainSettings,
    layout: Layout,
    device: str,
) -> Trained:
    """Residual and latent scales on validation rows (fit rows where there are none), then the errors of the calibration rows."""
    unseen = rows.validation if len(rows.validation) else some_fit_rows(rows)
    bare = Autoencoder(members, model, layout, rows.scaler, _nothing_measured(), train, {}, device)
    latents, errors = bare.encode_and_errors(unseen)
    low, high = latent_range(latents)
    spread = np.linspace(0, len(unseen) - 1, min(len(unseen), MOST_COMPARED)).astype(
        np.intp
    )  # evenly over the source
    compared, their_errors = unseen[spread], errors[spread]
    mean, deviation = feature_scales(bare, compared)
    known = np.isfinite(
        errors
    )  # a row without values, or too far out for float32, tells nothing of the others
    scales = replace(
        bare.measured,
        residual_scale=residual_scale(bare, unseen),
        feature_mean=mean,
        feature_deviation=deviation,
        latent_low=low,
        latent_high=high,
        reference=build_reference(bare, rows, compared, their_errors),
        usual=usual_error(rows.tensor(compared), torch.from_numpy(their_errors)),
    )
    return Trained(
        replace(bare, measured=calibrate(replace(bare, measured=scales), rows)),
        tuple(history),
        best_epoch,
        rows.n_fit,
        rows.n_validation,
        rows.n_calibration,
        dead_latents(latents),
        float(errors[known].mean()) if known.any() else float("inf"),
        column_mean_error(bare, rows.column_means, unseen if known.all() else unseen[known]),
        int(rows.train.trim * rows.n_fit),
        left_out(bare, rows),
    )


def left_out(model: Autoencoder, rows: FitRows) -> tuple[tuple[int, float], ...]:
    """The fit rows that the trimmed fit leaves out, the largest error first.

    Row of the source and error, at most MOST_LISTED.
    """
    count = min(MOST_LISTED, int(rows.train.trim * rows.n_fit))
    worst = Ranking.of(count, np.empty(0), np.empty(0, np.int64))
    start = 0
    for chunk in rows.read_chunks() if count else ():
        places = np.flatnonzero(sides_of(row_hashes(chunk), rows.train).fit)
        worst = worst.merge(Ranking.of(count, model.errors(chunk[places]), start + places))
        start += len(chunk)
    return tuple(zip(worst.rows.tolist(), worst.scores.tolist(), strict=True))


def _nothing_measured() -> Measured:
    none, zeros = np.empty(0), np.zeros(2)
    return Measured(
        calibration=none,
        novelty_calibration=none,
        relative_calibration=none,
        usual=np.full(3, np.nan),
        evidence=np.empty((3, 0)),
        residual_scale=none,
        feature_mean=none,
        feature_deviation=none,
        latent_low=none.astype(np.float32),
        latent_high=none.astype(np.float32),
        reference=Reference(rows=none, floor=zeros, typical=zeros),
    )


def build_reference(
    model: Autoencoder, rows: FitRows, unseen: NDArray[Any], errors: NDArray[np.float64]
) -> Reference:
    """Fit rows that cover all of them, and what is usual of `unseen` rows (n, *row_shape) with their errors (n,) against those."""
    sample = some_fit_rows(
        rows, max(REFERENCE_ROWS, min(MOST_CANDIDATES, CANDIDATE_VALUES // model.layout.n_features))
    )
    if rows.train.trim:
        kept = max(FEWEST_FIT_ROWS, len(sample) - int(rows.train.trim * len(sample)))
        sample = sample[np.argsort(model.errors(sample), kind="stable")[:kept]]
    count = max(2, min(REFERENCE_ROWS, REFERENCE_BYTES // max(1, sample[:1].nbytes)))
    places = coreset(rows.tensor(sample).numpy(), count)
    median_error = max(float(np.median(errors)), LEAST)
    bare = Reference(
        rows=sample[places], floor=np.array([LEAST, FLOOR**2 * median_error]), typical=np.zeros(2)
    )
    scaled, found = rows.tensor(unseen), torch.from_numpy(errors)
    distance = float(Novelty(bare, rows.tensor(bare.rows)).nearest(scaled, 1)[0].mean())
    floored = replace(bare, floor=np.array([max(FLOOR * distance, LEAST), bare.floor[1]]))
    far, badly = Novelty(floored, rows.tensor(bare.rows)).parts(scaled, found)
    return replace(floored, typical=np.array([float(far.median()), float(badly.median())]))


def some_fit_rows(rows: FitRows, most: int = MOST_ROWS) -> NDArray[Any]:
    """Fit rows, taken evenly over the source: at most `most`, and an eighth of the memory."""
    pieces = [rows.fit] if rows.fit is not None else rows.sides("fit")
    kept: list[NDArray[Any]] = []
    step = 0
    for piece in pieces:
        step = step or -(
            -rows.n_fit // max(1, min(most, rows.memory_bytes // 8 // max(1, piece[:1].nbytes)))
        )
        kept.append(piece[::step])
    return np.concatenate(kept)


def dead_latents(latents: NDArray[np.float32]) -> tuple[int, ...]:
    """Indices of latents (n, k) that are the same for every row.

    None can be told from a single row.
    """
    if len(latents) < 2:
        return ()
    return tuple(int(index) for index in np.flatnonzero(latents.max(axis=0) == latents.min(axis=0)))


def column_mean_error(model: Autoencoder, means: NDArray[np.float64], rows: NDArray[Any]) -> float:
    """Mean error of rows (n, *row_shape) for a model that gives back the column means (d,), in scaled units."""
    total, observed = np.zeros(len(rows)), np.zeros(len(rows))
    expected = ((means - model.scaler.center) / model.scaler.scale).astype(np.float32)
    for start in range(0, len(rows), model.size):
        scaled = model.scale(rows[start : start + model.size])
        total[start : start + model.size] = np.nansum(
            (scaled - expected).astype(np.float64) ** 2, axis=1
        )
        observed[start : start + model.size] = (~np.isnan(scaled)).sum(axis=1)
    seen = observed > 0
    return float((total[seen] / observed[seen]).mean()) if seen.any() else float("inf")


def calibrate(model: Autoencoder, rows: FitRows) -> Measured:
    """The measures with scores and evidence of all calibration rows, each ascending.

    Empty where train.calibration is 0.
    """
    if not rows.n_calibration:
        return model.measured
    found = [(*model.scores(piece), *evidence(model, piece)) for piece in rows.sides("calibration")]
    errors, novelties, relatives, *sides = (
        np.sort(np.concatenate(kind)) for kind in zip(*found, strict=True)
    )
    return replace(
        model.measured,
        calibration=errors,
        novelty_calibration=novelties,
        relative_calibration=relatives,
        evidence=np.stack(sides),
    )


def feature_scales(
    model: Autoencoder, unseen: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation (d,), (d,) of the scaled features of rows (n, *row_shape).

    0 and 1 where there is nothing to measure.
    """
    scaled = model.scale(unseen).astype(np.float64)
    scaled[np.isinf(scaled)] = np.nan  # too far out for float32
    seen = np.maximum((~np.isnan(scaled)).sum(axis=0), 1)
    mean = np.nansum(scaled, axis=0) / seen
    deviation = np.sqrt(np.nansum((scaled - mean) ** 2, axis=0) / seen)
    usable = (deviation > 0) & np.isfinite(deviation)
    return np.where(np.isfinite(mean), mean, 0.0), np.where(usable, deviation, 1.0)


def residual_scale(model: Autoencoder, unseen: NDArray[Any]) -> NDArray[np.float64]:
    """Root mean square of each feature's residual over rows (n, *row_shape), in scaled units, (d,); 1 where it is 0."""
    total, count = np.zeros(model.layout.n_features), np.zeros(model.layout.n_features)
    for start in range(0, min(len(unseen), MOST_ROWS), model.size):
        residuals = model.residuals(unseen[start : start + model.size])
        with np.errstate(over="ignore"):
            total += np.nansum(residuals**2, axis=0)
        count += (~np.isnan(residuals)).sum(axis=0)
    spread = np.sqrt(total / np.maximum(count, 1))
    return np.where((spread > 0) & np.isfinite(spread), spread, 1.0)


def latent_range(latents: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The range (k,), (k,) that latents (n, k) are stored in.

    The inner 99.9 % where there are rows enough to know it, else all.
    """
    if len(latents) < FEWEST_FOR_TAIL:
        return latents.min(axis=0), latents.max(axis=0)
    low, high = np.quantile(latents, [TAIL, 1 - TAIL], axis=0)
    return low.astype(np.float32), high.astype(np.float32)
