"""The flows as they are deployed: a form for parameters, the night that is due, and the earlier ones.

flows.orchestration.deployed:train   flows.orchestration.deployed:encode   flows.orchestration.deployed:nightly   flows.orchestration.deployed:backfill
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from flows.encoding.encode import EncodeResult
from flows.engine.session import begin
from flows.errors import DONE, EXPECTED, FlowError
from flows.jobs.dates import dates_between, yesterday
from flows.jobs.requests import EncodeRequest, ScoreRequest, TrainRequest
from flows.jobs.settings import Job
from flows.orchestration import artifacts, prefect_flows
from flows.orchestration.forms import BackfillForm, EncodeForm, JobForm, NightForm, TrainForm
from flows.scoring.alerts import send_alert
from flows.scoring.catch_up import AS_OF, CURRENT, DueNight, score_due
from flows.scoring.result import NightResult, NightsResult
from flows.training.train import TrainResult


def run_name() -> str:
    """Name of a flow run: what it does, and for which job."""
    return f"{flow_run.flow_name}-{Path(flow_run.parameters['form'].job.rpartition(':')[2]).stem}"


@flow(name="train", flow_run_name=run_name, task_runner=prefect_flows.ONE_AT_A_TIME)
def train(form: TrainForm) -> State[TrainResult]:
    """Fit a model on the clean rows, calibrate it, and promote it if the gate lets it pass."""
    return prefect_flows.train.fn(
        TrainRequest(
            job=str(form.job_path()), overrides=form.overrides(), require_gpu=form.require_gpu
        )
    )


@flow(name="encode", flow_run_name=run_name, task_runner=prefect_flows.SEVERAL)
def encode(form: EncodeForm) -> EncodeResult:
    """Compress rows into a latent store, and say what it costs and saves."""
    date = form.date.isoformat() if form.date else ""
    return prefect_flows.encode.fn(
        EncodeRequest(
            job=str(form.job_path()),
            source=form.source,
            date=date,
            overrides=form.overrides(),
            require_gpu=form.require_gpu,
        )
    )


@flow(name="nightly", flow_run_name=run_name)
def nightly(form: NightForm) -> State[None]:
    """Score the night that is due, and earlier ones that are missing, unfinished, or whose input came late; each as a flow run of its own."""
    job = begin(str(form.job_path()), form.overrides(), "score")
    day = form.date or yesterday(job, flow_run.scheduled_start_time or datetime.now(UTC))
    nights = score_due(job, day, lambda night: score_night(form, night))
    return finish(job, nights, alert=form.alert)


@flow(name="backfill", flow_run_name=run_name)
def backfill(form: BackfillForm) -> State[None]:
    """Score a range of data dates, oldest first; each as a flow run of its own."""
    job = begin(str(form.job_path()), form.overrides(), "score")
    model = AS_OF if form.model == "as-of" else CURRENT
    results: dict[str, NightResult | Exception] = {}
    for day in dates_between(form.first, form.last):
        try:
            results[day.isoformat()] = score_night(
                form, DueNight(day.isoformat(), model, "backfill"), force=form.force
            )
        except EXPECTED as error:
            results[day.isoformat()] = error
    return finish(job, NightsResult(results), alert=form.alert)


def score_night(form: JobForm, night: DueNight, *, force: bool = False) -> NightResult:
    """One night as a flow run of its own, below the one that asks for it."""
    request = ScoreRequest(
        job=str(form.job_path()),
        date=night.date,
        model=night.model,
        force=force,
        overrides=form.overrides(),
        require_gpu=form.require_gpu,
    )
    return prefect_flows.PrefectBackend().score(request)


def finish(job: Job, nights: NightsResult, *, alert: bool) -> State[None]:
    """The summary artifact, the message, and the final state.

    Named by the verdict of one night, or by how many of them are done.
    """
    artifacts.publish_nights(job, nights)
    codes = [
        result.exit_code if isinstance(result, NightResult) else 1
        for result in nights.results.values()
    ]
    last = list(nights.results.values())[-1]
    name = (
        f"{codes.count(DONE)} of {len(codes)} nights"
        if len(codes) > 1
        else last.verdict
        if isinstance(last, NightResult)
        else "FAILED"
    )
    words = nights.to_text()
    if alert:
        try:
            send_alert(job, nights)
        except FlowError as error:
            return Failed(name="NOT TOLD", message=f"{error}\n{words}")
    return (
        Completed(name=name, message=words)
        if nights.exit_code == DONE
        else Failed(name=name, message=words)
    )
