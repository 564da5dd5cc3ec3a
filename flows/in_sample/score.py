"""score --in-sample: find the outliers of the clean source itself."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

from aemodel.model import Autoencoder
from aemodel.training.cross_fit import FOLDS, CrossFitted, cross_fit, fold_settings
from aemodel.training.loop import CleanRows
from flows.engine.disk_space import require_space, score_bytes
from flows.engine.progress import part
from flows.engine.run_all import RunAll
from flows.engine.run_record import RunRecord
from flows.engine.shard_tasks import rows_per_chunk
from flows.errors import UsageError
from flows.in_sample.judge import judge_in_sample
from flows.jobs.inputs import layout_of, open_clean
from flows.jobs.requests import ScoreRequest
from flows.jobs.settings import Job
from flows.jobs.workspace import open_workspace
from flows.scoring.night_run import NightRun
from flows.scoring.publish import published_input
from flows.scoring.report import NightDraft, build_night
from flows.scoring.result import NightResult, read_result
from flows.scoring.shards.scoring import score_shards
from flows.training.picture_features import picture_features
from flows.training.rows.clean_rows import DigestedPasses
from flows.training.train import require_unchanged
from storage.errors import SourceError
from storage.files.locks import lock
from storage.nights.in_sample import InSamplePlace, publish_in_sample
from storage.nights.night import IN_SAMPLE
from storage.nights.revisions import NIGHT
from storage.sources import Source, plan_shards

WAIT = float("inf")  # until another run of the same job ends
ID_DIGITS = 12


def score_in_sample(
    job: Job, request: ScoreRequest, *, run_all: RunAll, device: str
) -> NightResult:
    """Judge every row of `data.clean` by a model that was not fitted on it; publish a revision.

    Writes nothing if nothing has changed since the last revision. Raises UsageError,
    SourceError.
    """
    _require_no_night(request)
    _require_rows(job)
    workspace = open_workspace(job)
    with lock(workspace.lock(IN_SAMPLE), wait=WAIT), _open_source(job) as source:
        if not source.n_rows:
            raise SourceError(f"{source.path}: holds no rows")
        run = _unfitted_run(job, request, source)
        publish_in_sample(run.place, run.work / NIGHT)  # a killed run may have left it ready
        if published := published_input(run, source):
            return published
        shards = plan_shards(source, job.data.shard_bytes)
        require_space(run.work, score_bytes(source, shards, keep=run.keep))
        before = source.fingerprint()
        fitted = _fit(job, source, device)
        result = _score_and_publish(replace(run, model=fitted), source, run_all)
        require_unchanged(source, before)
        return result


def _require_no_night(request: ScoreRequest) -> None:
    named = [name for name in ("date", "source", "model") if getattr(request, name)]
    if named:
        raise UsageError(
            f"--in-sample scores the rows of data.clean with models of its own; omit --{named[0]}"
        )


def _require_rows(job: Job) -> None:
    if job.series is not None:
        raise UsageError(
            "--in-sample judges rows one by one, and the job has a section [series]; run "
            "'nightglass train' on clean series, then 'nightglass score' with --source"
        )


@contextmanager
def _open_source(job: Job) -> Iterator[Source]:
    """Open the clean rows, tolerant of broken files and rows; they are listed in the report."""
    with open_clean(job, only_sound=True) as source:
        source.tolerant = True
        yield source


def _unfitted_run(job: Job, request: ScoreRequest, source: Source) -> NightRun:
    """Return the run before any model is fitted; `model` is not to be used yet."""
    workspace = open_workspace(job)
    return NightRun(
        job=job,
        place=InSamplePlace(workspace.root, job.name, IN_SAMPLE),
        work=workspace.work(IN_SAMPLE),
        path=source.path,
        model_id=_fit_digest(job),
        model=cast("Autoencoder", None),
        record=RunRecord.begin(),
        force=request.force,
        command=_command(request),
    )


def _fit_digest(job: Job) -> str:
    """Identify the settings of all fits, in place of a model's id."""
    train = {**asdict(fold_settings(job.train)), "device": "", "folds": FOLDS}
    settings = json.dumps([asdict(job.model), train], sort_keys=True)
    return hashlib.sha256(settings.encode()).hexdigest()[:ID_DIGITS]


def _command(request: ScoreRequest) -> str:
    """Return the command that repeats the run in the folder of the job file."""
    words = ["nightglass", "score", Path(request.job).name, "--in-sample"]
    return shlex.join([*words, *(f"--set={each}" for each in request.overrides)])


def _fit(job: Job, source: Source, device: str) -> CrossFitted:
    passes = DigestedPasses(source, rows_per_chunk(source, job.score.memory))
    layout = layout_of(job, source.schema)
    with part("fitting models", FOLDS, unit="models") as running:
        return cross_fit(
            CleanRows(passes, layout, job.score.memory),
            model=job.model,
            train=fold_settings(job.train),
            device=device,
            features=picture_features(job.model, layout),
            on_fold=lambda _: running.advance(1),
        )


def _score_and_publish(run: NightRun, source: Source, run_all: RunAll) -> NightResult:
    fingerprint = run.fingerprint(source)
    scored = score_shards(run, source, run_all, fingerprint=fingerprint)
    judged = judge_in_sample(run, source, scored)
    draft = NightDraft(run, judged, source=source, parts=scored.parts, fingerprint=fingerprint)
    build_night(draft)
    revision = publish_in_sample(run.place, draft.folder)
    assert revision is not None, "build_night marks it as ready"
    shutil.rmtree(run.work, ignore_errors=True)
    return read_result(run.place, revision, written=True)
