"""The deployed flows, each with a form: train, encode, nightly and backfill.

deploy/prefect.yaml names them as entry points, e.g. flows.orchestration.deployed:nightly.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from flows.encoding.encode import EncodeResult
from flows.engine.session import begin
from flows.errors import DONE, FAILED, FlowError
from flows.jobs.dates import dates_between, yesterday
from flows.jobs.requests import EncodeRequest, ScoreRequest, TrainRequest
from flows.jobs.settings import Job
from flows.orchestration import artifacts, prefect_flows
from flows.orchestration.forms import BackfillForm, EncodeForm, JobForm, NightForm, TrainForm
from flows.scoring.alerts import send_alert
from flows.scoring.catch_up import AS_OF, CURRENT, DueNight, score_due, score_or_error
from flows.scoring.result import NightResult, NightsResult
from flows.training.result import TrainResult


def _run_name() -> str:
    """Name a flow run after its flow and job."""
    return form_run_name(flow_run.flow_name, flow_run.parameters["form"])


def form_run_name(flow: str | None, form: JobForm) -> str:
    """Return FLOW-JOB, or the form's own text if there is no such job file.

    The run itself then raises the error.
    """
    try:
        job = prefect_flows.name_in(form.job_path(), form.overrides())
    except FlowError:
        job = form.job
    return f"{flow}-{job}"


@flow(name="train", flow_run_name=_run_name, task_runner=prefect_flows.ONE_TASK)
def train(form: TrainForm) -> State[TrainResult]:
    """Fit and calibrate a model on the clean rows; promote it if it passes the gate."""
    request = TrainRequest(
        job=str(form.job_path()), overrides=form.overrides(), require_gpu=form.require_gpu
    )
    return prefect_flows.train_flow.fn(request)


@flow(name="encode", flow_run_name=_run_name, task_runner=prefect_flows.PARALLEL)
def encode(form: EncodeForm) -> EncodeResult:
    """Compress rows into a latent store and report its size and reconstruction error."""
    request = EncodeRequest(
        job=str(form.job_path()),
        source=form.source,
        date=form.date.isoformat() if form.date else "",
        overrides=form.overrides(),
        require_gpu=form.require_gpu,
    )
    return prefect_flows.encode_flow.fn(request)


@flow(name="nightly", flow_run_name=_run_name)
def nightly(form: NightForm) -> State[None]:
    """Score the night that is due, and backfill missed, unfinished or changed nights.

    Each night is a subflow run.
    """
    job = begin(str(form.job_path()), form.overrides(), "score")
    day = form.date or yesterday(job, flow_run.scheduled_start_time or datetime.now(UTC))
    nights = score_due(job, day, lambda night: _score_subflow(form, night))
    return _finish(job, nights, alert=form.alert)


@flow(name="backfill", flow_run_name=_run_name)
def backfill(form: BackfillForm) -> State[None]:
    """Score a range of data dates, oldest first, each as a subflow run."""
    job = begin(str(form.job_path()), form.overrides(), "score")
    days = dates_between(form.first, form.last)
    nights = NightsResult({day.isoformat(): _backfill_day(form, day) for day in days})
    return _finish(job, nights, alert=form.alert)


def _backfill_day(form: BackfillForm, day: date) -> NightResult | Exception:
    model = AS_OF if form.model == "as-of" else CURRENT
    night = DueNight(day.isoformat(), model, "backfill")
    return score_or_error(lambda due: _score_subflow(form, due, force=form.force), night)


def _score_subflow(form: JobForm, night: DueNight, *, force: bool = False) -> NightResult:
    """Score one night as a subflow run of the current flow run."""
    request = ScoreRequest(
        job=str(form.job_path()),
        date=night.date,
        model=night.model,
        force=force,
        overrides=form.overrides(),
        require_gpu=form.require_gpu,
    )
    return prefect_flows.PrefectBackend().score(request)


def _finish(job: Job, nights: NightsResult, *, alert: bool) -> State[None]:
    """Publish the list of nights, send the alert, and return the final state."""
    artifacts.create_nights_artifact(job, nights)
    if alert:
        try:
            send_alert(job, nights)
        except FlowError as error:
            return Failed(name="ALERT FAILED", message=f"{error}\n{nights.to_text()}")
    return final_state(nights)


def final_state(nights: NightsResult) -> State[None]:
    """Return the state of a run, named after the verdict; only OK and REVIEW are green.

    A recheck that finds a FLOOD or DRIFT finished reports nothing new and does not fail again.
    """
    text = nights.to_text()
    if nights.calm:
        return Completed(name=_state_name(nights), message=text)
    if nights.up_to_date:
        return Completed(name="UP TO DATE", message=text)
    return Failed(name=_state_name(nights), message=text)


def _state_name(nights: NightsResult) -> str:
    """Return the verdict of a single night; of several, how many are done and the first alarm."""
    results = list(nights.results.values())
    if len(results) > 1:
        done = sum(_exit_code(result) == DONE for result in results)
        return ", ".join([f"{done} of {len(results)} nights", *_alarming(results)[:1]])
    [only] = results
    return only.verdict if isinstance(only, NightResult) else "FAILED"


def _alarming(results: Sequence[NightResult | Exception]) -> list[str]:
    """Return the verdicts FLOOD and DRIFT among the nights."""
    done = [each for each in results if isinstance(each, NightResult) and each.exit_code == DONE]
    return [each.verdict for each in done if not each.calm]


def _exit_code(result: NightResult | Exception) -> int:
    return result.exit_code if isinstance(result, NightResult) else FAILED
