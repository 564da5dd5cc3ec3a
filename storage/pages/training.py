"""The training report: training.html beside a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from storage.nights.night import Evidence
from storage.pages import render
from storage.pages.figures import calibration_histogram, loss_curve
from storage.pages.nights.waves import Wave, draw_wave
from storage.pages.pictures import is_picture, picture_uri


@dataclass(frozen=True)
class CleanExample:
    """A clean row with its reconstruction, each (*row_shape), and its error."""

    actual: NDArray[np.generic]
    expected: NDArray[np.generic]
    error: float

    @property
    def picture(self) -> str:
        """The row, its reconstruction and the difference, as a data URI; '' for a signal."""
        return picture_uri(self.actual, self.expected) if is_picture(self.actual.shape) else ""

    @property
    def wave(self) -> Wave | None:
        """A signal over its reconstruction."""
        return draw_wave(Evidence("", (), self.actual, self.expected))


@dataclass(frozen=True, kw_only=True)
class TrainingReport:
    """Everything that training.html says.

    reasons: why the model was promoted or refused.
    checks: for each check of the gate, what it requires, what it found, what it allows, and
        whether it passed.
    figures, calibration_figures, gate, settings: values by name. defaults: of the settings.
    train_loss, validation_loss: one value per epoch.
    calibration: scores (n,) of the calibration rows, of the kind named by `score`.
    promise: what the job's rule promises with these calibration rows.
    warning: what is wrong with the calibration rows, or ''.
    read_as: columns by kind, empty if all are numbers.
    not_read: columns, files and rows that were not trained on, by what they are.
    examples: clean rows of an image or signal, from the best to the worst reconstructed.
    digest: of the clean rows.
    left_out: row and error of the worst of the `n_left_out` fit rows that were trimmed.
    """

    job: str
    model_id: str
    promoted: bool
    reasons: Sequence[str]
    figures: Mapping[str, str]
    checks: Sequence[tuple[str, str, str, bool]]
    gate: Mapping[str, object]
    settings: Mapping[str, object]
    defaults: Mapping[str, object]
    train_loss: Sequence[float]
    validation_loss: Sequence[float]
    calibration: NDArray[np.float64]
    score: str
    calibration_figures: Mapping[str, str]
    promise: str
    warning: str
    read_as: Mapping[str, str]
    not_read: Mapping[str, str]
    examples: Sequence[CleanExample]
    digest: str
    n_left_out: int
    left_out: Sequence[tuple[int, float]]


def render_training_report(report: TrainingReport) -> bytes:
    """Render a training report as HTML."""
    has_calibration = len(report.calibration) > 0
    texts = {name: _setting_text(value) for name, value in report.settings.items()}
    defaults = {name: _setting_text(value) for name, value in report.defaults.items()}
    return render(
        "training.html.j2",
        report=report,
        chosen={name: text for name, text in texts.items() if text != defaults[name]},
        settings={name: text for name, text in texts.items() if text == defaults[name]},
        defaults=defaults,
        loss_plot=loss_curve(report.train_loss, report.validation_loss),
        calibration_plot=calibration_histogram(report.calibration, report.score)
        if has_calibration
        else "",
    )


def _setting_text(value: object) -> object:
    """Return a setting as people write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "none"
    return value
