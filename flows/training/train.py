"""train: fit a model on the clean rows, calibrate it, let the gate judge it, promote it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from aemodel.bundle import to_files
from aemodel.decisions.contamination import warning
from aemodel.model import Autoencoder
from aemodel.rows.layout import Layout
from aemodel.training.gate_checks import Check
from aemodel.training.loop import CleanRows, train_autoencoder
from aemodel.training.promotion_gate import GateVerdict, judge_challenger
from aemodel.training.result import Epoch, Trained
from flows.engine.run_all import RunAll, only_value
from flows.engine.run_record import RunRecord
from flows.engine.shard_tasks import rows_per_chunk
from flows.jobs.settings import Job
from flows.jobs.workspace import Workspace, near, open_workspace
from flows.results import Done
from flows.training.calibration_summary import calibration_facts, rule_promise
from flows.training.load_model import load_champion
from storage.errors import SourceError
from storage.files.locks import lock
from storage.models import bundle_id, promote, read_champion, save_bundle
from storage.pages.training import training_page
from storage.sources import RowsDigest, Source, open_source

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainResult(Done):
    """What training came to: the model, and whether it is now the one in force.

    figures, calibration: names and values, as shown. checks: the gate's. warning: what is wrong
    with the calibration rows, or ''.
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

    def to_json(self) -> dict[str, Any]:
        """For --json."""
        plain = {
            "model_id": self.model_id,
            "promoted": self.promoted,
            "why": self.why,
            "epochs": self.epochs,
            "rows": self.rows,
        }
        return {"path": str(self.path), **plain, "validation_loss": finite(self.validation_loss)}

    def to_text(self) -> str:
        """For a terminal."""
        return (
            f"Model {self.model_id} {'promoted' if self.promoted else 'NOT promoted'}: {self.why}\n"
            f"  {self.rows:,} clean rows, {self.epochs} epochs, validation loss {self.validation_loss:.6g}\n"
            f"  {near(self.path / 'training.html')}"
        )


def train_model(
    job: Job, *, run_all: RunAll, on_epoch: Callable[[Epoch], None], device: str, by: str = "train"
) -> TrainResult:
    """Train on the rows of `data.clean`; write the bundle and promote it where the gate lets it pass.

    Raises SourceError where the clean rows cannot be used, SettingsError where the model does not fit them.
    """
    workspace = open_workspace(job)
    facts = RunRecord.begin()
    with lock(workspace.lock("train")), open_clean(job) as source:
        before = source.fingerprint()
        champion = load_champion(workspace, device=device)
        trained, verdict, digest = only_value(
            run_all(lambda opened: fit_and_judge(job, opened, champion, on_epoch, device), [source])
        )
        if source.fingerprint() != before:
            raise SourceError(
                f"{source.path}: changed while it was read; run 'train' again once it is complete"
            )
        return keep_model(
            job, workspace, source, trained, verdict, digest=digest, facts=facts, by=by
        )


def open_clean(job: Job) -> Source:
    """The clean rows that the job file names."""
    data = job.data
    return open_source(
        job.path(data.clean),
        field=data.field,
        columns=data.columns,
        id=data.id,
        missing=data.missing,
    )


def fit_and_judge(
    job: Job,
    source: Source,
    champion: Autoencoder | None,
    on_epoch: Callable[[Epoch], None],
    device: str,
) -> tuple[Trained, GateVerdict, str]:
    """Fit on the source's rows, then judge beside the champion on rows that neither was fitted on.

    With the rows' digest.
    """
    passes = DigestedPasses(source, rows_per_chunk(source, job.memory_bytes))
    layout = Layout(
        row_shape=source.schema.row_shape,
        dtype=source.schema.dtype,
        columns=source.schema.columns,
    )
    trained = train_autoencoder(
        CleanRows(passes, layout, job.memory_bytes),
        model=job.model,
        train=job.train,
        on_epoch=on_epoch,
        device=device,
    )
    return trained, judge_challenger(trained, champion, passes, by=job.score.by), passes.digest


class DigestedPasses:
    """Callable that starts a pass over the source's rows.

    The first whole pass also takes their digest.
    """

    def __init__(self, source: Source, max_rows: int) -> None:
        self.source, self.max_rows, self.digest = source, max_rows, ""

    def __call__(self) -> Iterator[NDArray[Any]]:
        """Yield arrays (n, *row_shape) in source order."""
        digest = RowsDigest()
        for chunk in self.source.chunks(max_rows=self.max_rows):
            if not self.digest:
                digest.update(chunk.rows, chunk.ids)
            yield chunk.rows
        self.digest = self.digest or digest.hexdigest()


def keep_model(
    job: Job,
    workspace: Workspace,
    source: Source,
    trained: Trained,
    verdict: GateVerdict,
    *,
    digest: str,
    facts: RunRecord,
    by: str,
) -> TrainResult:
    """Write the bundle with its report, and promote it where the verdict says so and it is not in force already."""
    files = to_files(replace(trained.model, facts=training_facts(trained, digest)))
    model_id = bundle_id(files)
    run = facts.finish(
        command="train", job=job.name, source=str(source.path), device=trained.model.device
    )
    champion = read_champion(workspace.models)
    in_force = bool(champion and champion.current == model_id)
    if in_force:
        verdict = replace(
            verdict,
            promote=True,
            reasons=("it is in force already: the same rows and settings give the same model",),
        )
    result = result_of(job, workspace.models / model_id, trained, verdict)
    extra = {"training.html": report_page(job, result, trained, verdict)}
    save_bundle(
        workspace.models, files, work=workspace.work(f"model-{model_id}"), extra=extra, run=run
    )
    if verdict.promote and not in_force:
        promote(workspace.models, model_id, by=by, why=result.why, since=run["ended"])
    log.info("model %s: %s", model_id, result.why)
    return result


def result_of(job: Job, path: Path, trained: Trained, verdict: GateVerdict) -> TrainResult:
    """What there is to say of a model that is kept in the folder `path`."""
    scores = trained.model.calibration_by(job.score.by)
    return TrainResult(
        model_id=path.name,
        path=path,
        promoted=verdict.promote,
        why="; ".join(verdict.reasons),
        epochs=len(trained.history),
        validation_loss=trained.history[trained.best_epoch - 1].validation_loss,
        rows=trained.n_fit + trained.n_validation + trained.n_calibration,
        train_losses=tuple(epoch.train_loss for epoch in trained.history),
        validation_losses=tuple(epoch.validation_loss for epoch in trained.history),
        figures=fit_figures(job, trained),
        checks=verdict.checks,
        calibration=calibration_facts(job, scores),
        promise=rule_promise(job, scores),
        warning=warning(scores),
    )


def fit_figures(job: Job, trained: Trained) -> dict[str, str]:
    """The figures below the loss curve, names and values."""
    return {
        "fit rows": f"{trained.n_fit:,}",
        "validation rows": f"{trained.n_validation:,}",
        "best epoch": f"{trained.best_epoch} of {len(trained.history)}",
        "validation error": f"{trained.validation_error:.4g}",
        "column means' error": f"{trained.column_mean_error:.4g}",
        "dead latents": f"{len(trained.dead_latents)} of {job.model.latent}",
    }


def training_facts(trained: Trained, digest: str) -> dict[str, Any]:
    """What model.json says of the training: the data's digest, the sides, and the metrics."""
    best = trained.history[trained.best_epoch - 1]
    return {
        "training_data": {
            "digest": digest,
            "fit_rows": trained.n_fit,
            "validation_rows": trained.n_validation,
            "calibration_rows": trained.n_calibration,
        },
        "metrics": {
            "epochs": len(trained.history),
            "best_epoch": trained.best_epoch,
            "train_loss": best.train_loss,
            "validation_loss": finite(best.validation_loss),
            "validation_error": finite(trained.validation_error),
            "column_mean_error": finite(trained.column_mean_error),
            "dead_latents": list(trained.dead_latents),
            "left_out_rows": trained.n_left_out,
        },
    }


def finite(value: float) -> float | None:
    """A number as JSON can hold it; None for the others."""
    return value if math.isfinite(value) else None


def report_page(job: Job, result: TrainResult, trained: Trained, verdict: GateVerdict) -> bytes:
    """training.html."""
    return training_page(
        job=job.name,
        model_id=result.model_id,
        promoted=result.promoted,
        reasons=verdict.reasons,
        figures=result.figures,
        checks=[(check.what, check.found, check.allowed, check.passed) for check in result.checks],
        gate=verdict.figures,
        settings={
            **asdict(job.model),
            **{key: value for key, value in asdict(job.train).items() if key != "device"},
        },
        train_loss=result.train_losses,
        validation_loss=result.validation_losses,
        calibration=trained.model.calibration_by(job.score.by),
        score=job.score.by,
        calibration_figures=result.calibration,
        promise=result.promise,
        warning=result.warning,
        n_left_out=trained.n_left_out,
        left_out=trained.left_out,
    )
