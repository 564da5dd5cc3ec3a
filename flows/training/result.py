"""The outcome of a training run: what is printed, and the training report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from aemodel.model import Autoencoder
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.gate_checks import Check
from aemodel.training.promotion_gate import GateVerdict
from aemodel.training.result import Trained
from flows.jobs.settings import Job
from flows.jobs.workspace import near
from flows.results import Done
from flows.training.facts import finite_or_none
from storage.pages.training import CleanExample, TrainingReport, render_training_report
from storage.visible_text import visible

MOST_EXAMPLES = 6  # clean rows in a training report


@dataclass(frozen=True)
class TrainResult(Done):
    """The outcome of a training run.

    promoted: whether the model is champion now. figures, calibration: names and values as
    displayed. checks: those of the promotion gate. warning: what is wrong with the calibration
    rows, or ''. read_as: columns by kind, if not all are numbers. not_read: columns, files and
    rows that were not trained on, by what they are.
    """

    model_id: str
    path: Path
    promoted: bool
    why: str
    epochs: int
    validation_loss: float
    rows: int
    train_losses: tuple[float, ...]
    validation_losses: tuple[float, ...]
    figures: Mapping[str, str]
    checks: tuple[Check, ...]
    calibration: Mapping[str, str]
    promise: str
    warning: str
    read_as: Mapping[str, str]
    not_read: Mapping[str, str]

    def to_json(self) -> dict[str, object]:
        """For --json."""
        return {
            "path": str(self.path),
            "model_id": self.model_id,
            "promoted": self.promoted,
            "why": self.why,
            "epochs": self.epochs,
            "rows": self.rows,
            "validation_loss": finite_or_none(self.validation_loss),
            "read_as": dict(self.read_as),
            "not_read": dict(self.not_read),
        }

    def to_text(self) -> str:
        """For a terminal."""
        verdict = "promoted" if self.promoted else "NOT promoted"
        notes = {**self.read_as, **self.not_read}.items()
        not_read = "".join(f"  {what}: {visible(names)}\n" for what, names in notes)
        return (
            f"Model {self.model_id} {verdict}: {self.why}\n"
            f"  {self.rows:,} clean rows, {self.epochs} epochs{self._loss()}\n"
            f"{not_read}"
            f"  {near(self.path / 'training.html')}"
        )

    def _loss(self) -> str:
        held_out = math.isfinite(self.validation_loss)
        return f", validation loss {self.validation_loss:.6g}" if held_out else ""


def fit_figures(job: Job, trained: Trained) -> dict[str, str]:
    """The figures below the loss curve: names and values as displayed."""
    entities = trained.model.scaler.entities
    return {
        "fit rows": f"{trained.n_fit:,}",
        **({} if entities is None else {"entities": f"{len(entities.keys):,}"}),
        "validation rows": f"{trained.n_validation:,}",
        "best epoch": f"{trained.best_epoch} of {len(trained.history)}",
        "validation error": f"{trained.validation_error:.4g}",
        "column means' error": f"{trained.column_mean_error:.4g}",
        "dead latents": f"{len(trained.dead_latents)} of {job.model.latent}",
    }


def report_page(
    job: Job, result: TrainResult, trained: Trained, verdict: GateVerdict, *, digest: str
) -> bytes:
    """training.html; digest: of the clean rows."""
    report = TrainingReport(
        job=job.name,
        model_id=result.model_id,
        promoted=result.promoted,
        reasons=verdict.reasons,
        figures=result.figures,
        checks=[(check.what, check.found, check.allowed, check.passed) for check in result.checks],
        gate=verdict.figures,
        settings=_settings(job.model, job.train),
        defaults=_settings(ModelSettings(), TrainSettings()),
        train_loss=result.train_losses,
        validation_loss=result.validation_losses,
        calibration=trained.model.calibration_by(job.score.by),
        score="relative error" if job.score.by == "relative" else job.score.by,
        calibration_figures=result.calibration,
        promise=result.promise,
        warning=result.warning,
        read_as=result.read_as,
        not_read=result.not_read,
        examples=_examples(trained.model),
        digest=digest,
        n_left_out=trained.n_left_out,
        left_out=trained.left_out,
    )
    return render_training_report(report)


def _examples(model: Autoencoder) -> list[CleanExample]:
    """Reference rows from the best to the worst reconstructed; none of a table."""
    rows = model.measured.reference.rows
    if not model.layout.by_region or not len(rows):
        return []
    rebuilt = model.rebuild(rows)
    order = np.argsort(rebuilt.errors, kind="stable")
    places = np.linspace(0, len(order) - 1, min(MOST_EXAMPLES, len(order))).round().astype(int)
    expected = model.in_data_units(rebuilt).reshape(rows.shape)
    return [
        CleanExample(rows[row], expected[row], float(rebuilt.errors[row])) for row in order[places]
    ]


def _settings(model: ModelSettings, train: TrainSettings) -> dict[str, object]:
    """All settings that shape a model, by name."""
    found = {**asdict(model), **asdict(train)}
    del found["device"]
    return found
