"""What model.json says of the training: the digest of the rows, the splits, the metrics."""

from __future__ import annotations

import math

from aemodel.explain.attribution import feature_name
from aemodel.training.result import Trained

MOST_NOTES = 5  # columns with far values that are named one by one


def training_facts(trained: Trained, digest: str) -> dict[str, object]:
    """The training section of model.json: the digest of the data, the splits, the metrics."""
    return {
        "training_data": {
            "digest": digest,
            "fit_rows": trained.n_fit,
            "validation_rows": trained.n_validation,
            "calibration_rows": trained.n_calibration,
        },
        "metrics": _metrics(trained),
    }


def _metrics(trained: Trained) -> dict[str, object]:
    best = trained.history[trained.best_epoch - 1]
    return {
        "epochs": len(trained.history),
        "best_epoch": trained.best_epoch,
        "train_loss": best.train_loss,
        "validation_loss": finite_or_none(best.validation_loss),
        "validation_error": finite_or_none(trained.validation_error),
        "column_mean_error": finite_or_none(trained.column_mean_error),
        "dead_latents": list(trained.dead_latents),
        "left_out_rows": trained.n_left_out,
    }


def finite_or_none(value: float) -> float | None:
    """The number, or None for NaN and infinities, which JSON lacks."""
    return value if math.isfinite(value) else None


def far_value_notes(trained: Trained) -> dict[str, str]:
    """Describe values far outside all others, at most MOST_NOTES columns one by one."""
    found = trained.far_values
    notes = [
        f"{feature_name(trained.model, each.column)} ({each.count:,} of {trained.n_fit:,} below "
        f"{each.low:.4g} or above {each.high:.4g})"
        for each in found[:MOST_NOTES]
    ]
    if len(found) > MOST_NOTES:
        notes.append(f"and {len(found) - MOST_NOTES:,} more columns")
    return (
        {"values far outside all others, left out of training": ", ".join(notes)} if found else {}
    )
