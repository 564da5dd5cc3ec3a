"""train: fit a model on the clean rows, calibrate it, run the promotion gate, promote it."""

from __future__ import annotations

import functools
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from aemodel.bundle import to_files
from aemodel.decisions.contamination import contamination_warning
from aemodel.decisions.entity_groups import entity_groups
from aemodel.model import Autoencoder
from aemodel.series.events.decision import cut_of_rule
from aemodel.settings import TrainSettings
from aemodel.training.loop import CleanRows, fit_autoencoder, train_autoencoder
from aemodel.training.promotion_gate import GateVerdict, judge_challenger
from aemodel.training.result import Epoch, Trained
from flows.engine.run_all import RunAll, only_value
from flows.engine.run_record import RunRecord
from flows.engine.shard_tasks import rows_per_chunk
from flows.jobs.inputs import layout_of, open_clean
from flows.jobs.series.inputs import forget_clean_series
from flows.jobs.settings import Job
from flows.jobs.workspace import Workspace, find_workspace, open_workspace
from flows.training.calibration_summary import (
    calibration_facts,
    rule_promise,
    series_calibration_facts,
)
from flows.training.checkpoint import Checkpoint, training_key
from flows.training.columns import column_facts, imprecise_columns
from flows.training.epochs_shown import epochs_shown
from flows.training.facts import far_value_notes, training_facts
from flows.training.load_model import load_champion
from flows.training.picture_features import picture_features
from flows.training.result import TrainResult, fit_figures, report_page
from flows.training.rows.block_files import SourceBlocks
from flows.training.rows.blocks import find_blocks
from flows.training.rows.clean_rows import DigestedPasses
from flows.training.rows.series import fit_series_of, gate_of_series
from storage.errors import SourceError
from storage.files.locks import lock
from storage.labels import confirmed_outliers, labels_path, read_labels
from storage.models import Promotion, bundle_id, champion_id, champion_lock, promote, save_bundle
from storage.sources import Source

CHECKPOINT = "checkpoint"  # in the work folder of the training

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TrainRun:
    """One run of `train`, under the job's training lock.

    source: path of the clean rows. by: who or what promotes the model.
    """

    job: Job
    workspace: Workspace
    source: Path
    record: RunRecord
    by: str


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """How rows are fitted.

    work: folder of the checkpoint, which goes once the model is kept. on_epoch: called with each
    epoch, and with the one that training resumes after.
    """

    job: Job
    device: str
    work: Path
    on_epoch: Callable[[Epoch], None]


@dataclass(frozen=True)
class Challenger:
    """A fitted model, the gate's verdict on it, and the digest of the clean rows.

    not_read: columns, files and rows that were not trained on, by what they are. columns: what
    model.json says of them.
    """

    trained: Trained
    verdict: GateVerdict
    digest: str
    read_as: Mapping[str, str]
    not_read: Mapping[str, str]
    columns: Mapping[str, object]


def train_model(
    job: Job,
    *,
    run_all: RunAll,
    device: str,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
    by: str = "train",
) -> TrainResult:
    """Train on the rows of `data.clean`, write the bundle, and promote it if the gate passes it.

    Raises SourceError if the clean rows cannot be used, SettingsError if the model does not fit
    them.
    """
    workspace, record = open_workspace(job), RunRecord.begin()
    with lock(workspace.lock("train")), open_clean(job) as source:
        before = source.fingerprint()
        judged_against, champion = load_champion(workspace, device=device)
        work = workspace.work("train")
        fitting = Fitting(job=job, device=device, work=work, on_epoch=on_epoch)
        challenger = only_value(
            run_all(lambda opened: fit_and_judge(fitting, opened, champion), [source])
        )
        run = TrainRun(job=job, workspace=workspace, source=source.path, record=record, by=by)
        require_unchanged(source, before)
        while (result := keep_unless_overtaken(run, challenger, judged_against)) is None:
            judged_against, champion = load_champion(workspace, device=device)
            again = functools.partial(judge_again, job, challenger, champion)
            challenger = only_value(run_all(again, [source]))
            require_unchanged(source, before)
        shutil.rmtree(work, ignore_errors=True)
        forget_clean_series(job)
        return result


def require_unchanged(source: Source, fingerprint: str) -> None:
    """Raise SourceError unless the clean rows still have this fingerprint."""
    if source.fingerprint() != fingerprint:
        raise SourceError(
            f"{source.path}: changed while it was read; rerun 'train' once it is complete"
        )


def fit_and_judge(fitting: Fitting, source: Source, champion: Autoencoder | None) -> Challenger:
    """Fit on the source's rows, then judge against the champion on rows that neither was fit on."""
    job = fitting.job
    clean, passes, train = _clean_rows(job, source)
    key = functools.partial(training_key, source, passes, job, device=fitting.device)
    checkpoint = Checkpoint(fitting.work / CHECKPOINT, key, epochs=job.train.epochs)
    with epochs_shown(job.train.epochs, fitting.on_epoch) as shown:
        trained = train_autoencoder(
            clean,
            model=job.model,
            train=train,
            device=fitting.device,
            between=checkpoint.between(shown),
            features=picture_features(job.model, clean.layout),
        )
    verdict = _judge(job, trained, champion, passes)
    trained = replace(trained, model=replace(trained.model, series=fit_series_of(job, source)))
    numbered = replace(trained, left_out=passes.source_rows(trained.left_out))
    columns = column_facts(trained.model, source)
    return Challenger(numbered, verdict, passes.digest, source.read_as, passes.not_read, columns)


def _passes(job: Job, source: Source, blocks: SourceBlocks | None) -> DigestedPasses:
    """Return passes over the clean rows without those that analysts have labeled as outliers."""
    labels = read_labels(labels_path(find_workspace(job).root, job.name))
    outliers = confirmed_outliers(labels, datetime.now(job.zone).date().isoformat())
    max_rows = rows_per_chunk(source, job.score.memory)
    return DigestedPasses(source, max_rows, blocks, outliers=outliers)


def fit_along(job: Job, *, device: str) -> None:
    """Take part in the fit of the process that writes the model, and write nothing."""
    with open_clean(job) as source:
        clean, _, train = _clean_rows(job, source)
        fit_autoencoder(clean, model=job.model, train=train, device=device)


def _clean_rows(job: Job, source: Source) -> tuple[CleanRows, DigestedPasses, TrainSettings]:
    """The clean rows as training and the gate read them, and settings that name their blocks."""
    blocks = None if job.series else find_blocks(source, job.train)
    passes = _passes(job, source, blocks)
    layout = layout_of(job, source.schema)
    clean = CleanRows(passes, layout, job.score.memory, passes.shuffled(), passes.blocks)
    return clean, passes, replace(job.train, blocks=blocks.by) if blocks else job.train


def judge_again(
    job: Job, challenger: Challenger, champion: Autoencoder | None, source: Source
) -> Challenger:
    """Judge a challenger against another champion."""
    trained_with = challenger.trained.model.train_settings
    blocks = None if job.series else find_blocks(source, trained_with)
    passes = _passes(job, source, blocks)
    verdict = _judge(job, challenger.trained, champion, passes)
    return replace(challenger, verdict=verdict)


def _judge(
    job: Job, trained: Trained, champion: Autoencoder | None, passes: DigestedPasses
) -> GateVerdict:
    verdict = judge_challenger(trained, champion, passes, by=job.score.by, blocks=passes.blocks)
    return gate_of_series(verdict) if job.series else verdict


def keep_unless_overtaken(
    run: TrainRun, challenger: Challenger, judged_against: str
) -> TrainResult | None:
    """Keep the challenger; None if another model became champion while it was trained.

    judged_against: id of the champion that the verdict compares with, '' for none.
    """
    trained, models = challenger.trained, run.workspace.models
    facts = {
        **trained.model.facts,
        **training_facts(trained, challenger.digest),
        **challenger.columns,
    }
    files = to_files(replace(trained.model, facts=facts))
    with champion_lock(models):
        current = champion_id(models)
        if current in (judged_against, bundle_id(files)):
            return keep_model(run, challenger, files)
    log.warning("model %s became champion meanwhile; judging against it", current)
    return None


def keep_model(run: TrainRun, challenger: Challenger, files: Mapping[str, bytes]) -> TrainResult:
    """Write the bundle with its report, and promote it if it passed and is not champion already.

    The caller holds the lock of the champion.
    """
    trained, models, model_id = challenger.trained, run.workspace.models, bundle_id(files)
    facts = run.record.finish(
        command="train", job=run.job.name, source=str(run.source), device=trained.model.device
    )
    current = champion_id(models) == model_id
    verdict = _confirmed(challenger.verdict) if current else challenger.verdict
    result = _train_result(run.job, models / model_id, challenger, verdict)
    pages = {
        "training.html": report_page(run.job, result, trained, verdict, digest=challenger.digest)
    }
    work = run.workspace.work(f"model-{model_id}")
    save_bundle(models, files, work=work, extra=pages, run=facts)
    if verdict.promote and not current:
        promote(models, Promotion(model_id, str(facts["ended"]), by=run.by, why=result.why))
    log.info("model %s: %s", model_id, result.why)
    return result


def _confirmed(verdict: GateVerdict) -> GateVerdict:
    """The verdict on a model that is champion already."""
    why = "already champion: the same rows and settings give the same model"
    return replace(verdict, promote=True, reasons=(why,))


def _train_result(
    job: Job, path: Path, challenger: Challenger, verdict: GateVerdict
) -> TrainResult:
    """The result for the model kept in the folder `path`."""
    trained = challenger.trained
    scores = trained.model.calibration_by(job.score.by)
    blocks = trained.model.blocks_by(job.score.by)
    entities, score = trained.model.scaler.entities, job.score
    groups = entity_groups(entities, trained.model.measured, score.by, score.rule)
    calibration = calibration_facts(job, scores, groups)
    promise = rule_promise(job, scores, blocks, groups)
    if (series := trained.model.series) is not None:
        calibration = series_calibration_facts(job, series)
        promise = cut_of_rule(score.rule, series, at_once=series.at_once).promise
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
        calibration=calibration,
        promise=promise,
        warning=contamination_warning(scores),
        read_as=challenger.read_as,
        not_read={
            **challenger.not_read,
            **far_value_notes(trained),
            **imprecise_columns(trained.model.facts),
        },
    )
