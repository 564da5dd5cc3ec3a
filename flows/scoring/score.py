"""score: judge one night.

Scores the shards, makes one decision over all of them, and publishes scores and report together.
"""

from __future__ import annotations

from dataclasses import replace

from flows.engine.disk_space import require_space, score_bytes
from flows.engine.run_all import RunAll
from flows.engine.run_record import RunRecord
from flows.errors import WorkFailed
from flows.jobs.dates import parse_date
from flows.jobs.inputs import open_night, source_path
from flows.jobs.queries import run_of_query
from flows.jobs.requests import ScoreRequest
from flows.jobs.series.inputs import forget_old_nights
from flows.jobs.settings import Job
from flows.jobs.workspace import open_workspace
from flows.publishing.nights import publish_missing
from flows.scoring.night_run import NightRun
from flows.scoring.publish import (
    publish_failed,
    publish_no_data,
    published_input,
    score_and_publish,
)
from flows.scoring.result import NightResult
from flows.training.champion import age_remark, chosen_model, device_remark
from flows.training.load_model import load_model
from flows.training.rows.series import require_same_judge
from storage.errors import NoDataError, SourceError
from storage.files.locks import lock
from storage.labels import known_normal, labels_path, read_labels
from storage.nights.revisions import NIGHT, NightPlace, publish_revision
from storage.sources import Source, plan_shards

# Wait for another run of the same night to end; this run then reuses its finished shards.
WAIT = float("inf")


def score_night(job: Job, request: ScoreRequest, *, run_all: RunAll, device: str) -> NightResult:
    """Score the rows of a data date and publish a revision.

    Writes nothing if nothing has changed since the last complete revision.
    Raises UsageError, or SourceError for --source, before any work if the options or the input are
    wrong; WorkFailed if the input of the date cannot be opened.
    """
    run = prepare_run(job, request, device=device)
    with lock(open_workspace(job).lock(f"score-{run.place.date}"), wait=WAIT):
        # An earlier run may have been killed between finishing its revision and publishing it.
        publish_revision(run.place, run.work / NIGHT)
        score = _score_named_source if request.source else _score_data_date
        result = score(run, run_all)
    forget_old_nights(job)
    publish_missing(job, also=run.place.date)
    return result


def prepare_run(job: Job, request: ScoreRequest, *, device: str) -> NightRun:
    """Load the model and collect what a run needs.

    Raises if the date, the rule, the model or `score.by` is wrong.
    """
    record = RunRecord.begin()
    workspace = open_workspace(job)
    day = parse_date(request.date)
    chosen = chosen_model(job, workspace.models, request.model, day)
    model_id, model = load_model(workspace, device=device, model_id=chosen)
    require_same_judge(job, model, model_id)
    folder = workspace.models / model_id
    labels = read_labels(labels_path(workspace.root, job.name))
    age = age_remark(folder, day, limit=job.schedule.max_model_age_days)
    return NightRun(
        job=job,
        place=NightPlace(workspace.root, job.name, day.isoformat()),
        work=workspace.work(f"score-{day}"),
        path=source_path(request.source, endpoint=job.endpoint)
        if request.source
        else job.incoming(day),
        model_id=model_id,
        model=model,
        record=record,
        force=request.force,
        command=replace(request, date=day.isoformat()).command(model_id),
        remarks=tuple(filter(None, (age, device_remark(folder, model.device)))),
        known={} if job.series else known_normal(labels, day.isoformat()),
    )


def _score_named_source(run: NightRun, run_all: RunAll) -> NightResult:
    """Score the input given by --source.

    A wrong input is a mistake in the command, so no revision is published for it.
    """
    with open_night(run.job, run.path, run.model.layout, data_date=None) as source:
        if not source.n_rows:
            raise NoDataError(f"{source.path}: holds no rows")
        return _score_source(run, source, run_all)


def _score_data_date(run: NightRun, run_all: RunAll) -> NightResult:
    """Score the job's input for the data date; publish NO DATA or FAILED if it cannot be opened.

    Raises WorkFailed if the night is FAILED because of that.
    """
    data_date = parse_date(run.place.date)
    with run_of_query(run.job, data_date):
        try:
            opened = open_night(run.job, run.path, run.model.layout, data_date=data_date)
        except NoDataError as error:
            return publish_no_data(run, str(error))
        except SourceError as error:
            publish_failed(run, str(error))
            raise WorkFailed(str(error)) from error  # as of every FAILED night
        with opened:
            if not opened.n_rows:
                return publish_no_data(run, f"{run.path}: holds no rows")
            return _score_source(run, opened, run_all)


def _score_source(run: NightRun, source: Source, run_all: RunAll) -> NightResult:
    """Score an open input with at least one row, unless its revision is already published."""
    if published := published_input(run, source):
        return published
    shards = plan_shards(source, run.job.data.shard_bytes)
    require_space(run.work, score_bytes(source, shards, keep=run.keep))
    return score_and_publish(run, source, run_all)
