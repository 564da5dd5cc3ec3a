"""score: judge one night.

Shards are scored, one decision is made over all of them, and scores and report are published
together.
"""

from __future__ import annotations

from pathlib import Path

from flows.engine.disk_space import require_space, score_bytes
from flows.engine.run_all import RunAll
from flows.engine.run_record import RunRecord
from flows.jobs.dates import parse_date
from flows.jobs.inputs import open_night
from flows.jobs.requests import ScoreRequest
from flows.jobs.settings import Job
from flows.jobs.workspace import open_workspace
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
from storage.errors import NoDataError, SourceError
from storage.files.locks import lock
from storage.nights.revisions import NightPlace, publish_night
from storage.sources import Source, plan_shards

WAIT = float(
    "inf"
)  # for another run of the same night: what it finishes counts, the rest is done here


def score_night(job: Job, request: ScoreRequest, *, run_all: RunAll, device: str) -> NightResult:
    """Score the rows of a data date and publish a revision.

    Where nothing has changed since the last complete one, nothing is written.
    Raises SourceError, SchemaError and UsageError before any work where the input or the options
    are wrong.
    """
    run = prepare(job, request, device=device)
    with lock(open_workspace(job).lock(f"score-{run.place.date}"), wait=WAIT):
        publish_night(run.place, run.work / "night")  # what a killed run had finished
        data_date = None if request.source else parse_date(request.date)
        try:
            opened = open_night(job, run.path, run.model.layout, data_date=data_date)
        except SourceError as error:
            if request.source:  # the mistake of whoever named it, nothing to do with the night
                raise
            if isinstance(error, NoDataError):
                return publish_no_data(run, str(error))
            publish_failed(run, str(error))
            raise
        with opened:
            return score_opened(run, opened, run_all, named=bool(request.source))


def prepare(job: Job, request: ScoreRequest, *, device: str) -> NightRun:
    """The run that a request asks for. Raises where date, rule, model or score are wrong."""
    workspace, record, day = open_workspace(job), RunRecord.begin(), parse_date(request.date)
    chosen = chosen_model(job, workspace.models, request.model, day)
    model_id, model = load_model(workspace, device=device, model_id=chosen)
    model.calibration_by(job.score.by)  # raises where the model does not know that score
    folder = workspace.models / model_id
    age = age_remark(folder, day, limit=job.schedule.max_model_age_days)
    return NightRun(
        job=job,
        place=NightPlace(workspace.root, job.name, day.isoformat()),
        work=workspace.work(f"score-{day}"),
        path=Path(request.source) if request.source else job.incoming(day),
        model_id=model_id,
        model=model,
        record=record,
        force=request.force,
        remarks=tuple(filter(None, (age, device_remark(folder, model.device)))),
    )


def score_opened(run: NightRun, source: Source, run_all: RunAll, *, named: bool) -> NightResult:
    """Score an input that could be opened. `named`: by --source, not by the job's data date."""
    if not source.n_rows:
        why = f"{source.path if named else run.path}: holds no rows"
        if named:
            raise NoDataError(why)
        return publish_no_data(run, why)
    if published := published_input(run, source):
        return published
    shards = plan_shards(source, run.job.data.shard_bytes)
    require_space(run.work, score_bytes(source, shards, keep=run.keep))
    return score_and_publish(run, source, run_all)
