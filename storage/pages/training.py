"""The training report: training.html beside a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.pages import render
from storage.pages.figures import calibration_histogram, loss_curve


def training_page(
    *,
    job: str,
    model_id: str,
    promoted: bool,
    reasons: Sequence[str],
    figures: Mapping[str, str],
    checks: Sequence[tuple[str, str, str, bool]],
    gate: Mapping[str, Any],
    settings: Mapping[str, Any],
    train_loss: Sequence[float],
    validation_loss: Sequence[float],
    calibration: NDArray[np.float64],
    score: str,
    calibration_figures: Mapping[str, str],
    promise: str,
    warning: str,
    n_left_out: int,
    left_out: Sequence[tuple[int, float]],
) -> bytes:
    """The page as bytes.

    `calibration` (n,): scores of the calibration rows, of the kind that `score` names.
    `figures`, `calibration_figures` and `gate`: name and value, as shown. `promise`: what the job's
    rule promises with these rows.

    `checks`: what the gate asked, what it found, what it allows, and whether that passed.
    `warning`: what is wrong with the calibration rows, or ''. `left_out`: the first of the
    `n_left_out` fit rows that were trimmed, row and error.
    """
    return render(
        "training.html.j2",
        job=job,
        model_id=model_id,
        promoted=promoted,
        reasons=reasons,
        figures=figures,
        checks=checks,
        gate=gate,
        settings={name: _in_words(value) for name, value in settings.items()},
        score=score,
        calibration_figures=calibration_figures,
        promise=promise,
        warning=warning,
        n_left_out=n_left_out,
        left_out=left_out,
        loss_plot=loss_curve(train_loss, validation_loss),
        calibration_plot=calibration_histogram(calibration, score) if len(calibration) else "",
    )


def _in_words(value: Any) -> Any:
    """A setting as people write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (", ".join(map(str, value)) or "none") if isinstance(value, tuple | list) else value
