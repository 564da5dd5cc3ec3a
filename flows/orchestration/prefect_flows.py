"""The Prefect backend: train, encode and score as flows.

Each flow calls the same function as the local backend, with a `run_all` that submits Prefect
tasks, and then publishes artifacts and events. The final state of a scoring run is named after
the night's verdict, so that the list of runs shows the verdicts; only OK and REVIEW are green.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, cast

from prefect import flow, tags
from prefect.client.schemas.objects import State
from prefect.concurrency.sync import concurrency
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from aemodel.training.result import Epoch
from flows.encoding.encode import EncodeResult, encode_rows
from flows.engine.device import pick_device
from flows.engine.session import WORKERS, begin
from flows.errors import FlowError, UsageError, WorkFailed
from flows.jobs.dates import parse_date
from flows.jobs.job_file import read_job
from flows.jobs.requests import EncodeRequest, ScoreRequest, TrainRequest
from flows.jobs.settings import Job
from flows.jobs.workspace import find_workspace
from flows.orchestration import artifacts, events
from flows.orchestration.prefect_tasks import progress_artifact, run_as_tasks
from flows.orchestration.run_pages.markdown import escape
from flows.scoring.result import NightResult, read_result
from flows.scoring.score import score_night
from flows.training.result import TrainResult
from flows.training.train import train_model
from storage.nights.revisions import NightPlace

AnyTaskRunner = TaskRunner[Any]  # threads or Dask, whose futures differ
ONE_TASK: AnyTaskRunner = ThreadPoolTaskRunner(max_workers=1)
PARALLEL: AnyTaskRunner = ThreadPoolTaskRunner(max_workers=WORKERS)
FAILED = "FAILED"
GPU_LIMIT = "gpu-0"  # global concurrency limit, created by deploy/bootstrap.py
LOCAL_DASK = {
    "n_workers": WORKERS,
    "threads_per_worker": 1,
    "host": "127.0.0.1",
    "dashboard_address": None,
}


def pick_task_runner(job: Job) -> AnyTaskRunner:
    """Return the task runner set in [score]. Raises UsageError if it is not installed."""
    if job.score.runner == "threads":
        return PARALLEL
    try:
        from prefect_dask.task_runners import DaskTaskRunner  # late: an extra
    except ImportError as error:
        raise UsageError(
            "score.runner = 'dask' needs an extra: pip install 'nightglass[dask]'"
        ) from error
    if job.score.dask_address:
        return DaskTaskRunner(address=job.score.dask_address)
    return DaskTaskRunner(cluster_kwargs=LOCAL_DASK)


@contextmanager
def gpu_slot(device: str) -> Iterator[None]:
    """Hold the GPU's concurrency slot; on a CPU, do nothing.

    The slot is leased: Prefect frees it when the process dies.
    """
    if device != "cuda":
        yield
        return
    with concurrency(GPU_LIMIT, occupy=1):
        yield


def _run_name() -> str:
    """Name a flow run after its flow, job and data date."""
    return request_run_name(flow_run.flow_name, flow_run.parameters["request"])


def request_run_name(flow: str | None, request: TrainRequest | EncodeRequest | ScoreRequest) -> str:
    """Return FLOW-JOB, or FLOW-JOB-DATE if the request has a data date."""
    name = name_in(Path(request.job), request.overrides)
    parts = (flow, name, getattr(request, "date", ""))
    return "-".join(part for part in parts if part)


def name_in(path: Path, overrides: Sequence[str]) -> str:
    """Return the job's name; the file's, if it is no job file, as the run itself then reports."""
    try:
        return read_job(path, overrides).name
    except FlowError:
        return path.stem


@flow(name="train", flow_run_name=_run_name, task_runner=ONE_TASK)
def train_flow(request: TrainRequest) -> State[TrainResult]:
    """Fit and calibrate a model on the clean rows; promote it if it passes the gate."""
    job = begin(request.job, request.overrides, "train")
    device = pick_device(job.train.device, require_gpu=request.require_gpu)
    progress = progress_artifact(f"Training {job.name}, {job.train.epochs} epochs")

    def on_epoch(epoch: Epoch) -> None:
        progress(epoch.number, job.train.epochs)

    with gpu_slot(device):
        result = train_model(job, run_all=run_as_tasks("fit"), on_epoch=on_epoch, device=device)
    artifacts.create_training_artifact(job.name, result)
    events.emit_model(job.name, result)
    verdict = "PROMOTED" if result.promoted else "REFUSED"
    return Completed(name=verdict, message=result.why, data=result)


@flow(name="encode", flow_run_name=_run_name, task_runner=PARALLEL)
def encode_flow(request: EncodeRequest) -> EncodeResult:
    """Compress rows into a latent store and report its size and reconstruction error."""
    job = begin(request.job, request.overrides, "encode")
    device = pick_device(job.train.device, require_gpu=request.require_gpu)
    rows = request.source or request.date or "the clean rows"
    progress = progress_artifact(f"Encoding {escape(rows)} of {job.name}")
    with gpu_slot(device):
        run_all = run_as_tasks("encode", progress)
        result = encode_rows(job, request, run_all=run_all, device=device)
    artifacts.create_store_artifacts(job.name, result)
    events.emit_store(job.name, result)
    return result


@flow(name="score", flow_run_name=_run_name, task_runner=PARALLEL)
def score_flow(request: ScoreRequest) -> State[NightResult]:
    """Score a night, rank its rows, and write the report."""
    job = begin(request.job, request.overrides, "score")
    device = pick_device(job.train.device, require_gpu=request.require_gpu)
    progress = progress_artifact(f"Scoring {request.date} of {job.name}")
    try:
        with gpu_slot(device):
            run_all = run_as_tasks("score", progress)
            result = score_night(job, request, run_all=run_all, device=device)
    except WorkFailed as error:
        return _stopped(job, request, error)
    artifacts.create_night_artifacts(job, result)
    events.emit_night(job.name, result)
    return night_state(result)


def _stopped(job: Job, request: ScoreRequest, error: WorkFailed) -> State[NightResult]:
    """Return the final state of a night that its input stopped, with the page that says why."""
    place = NightPlace(find_workspace(job).root, job.name, parse_date(request.date).isoformat())
    if revision := place.newest():
        result = read_result(place, revision, written=True)
        if result.verdict == FAILED:
            artifacts.create_night_artifacts(job, result)
    return Failed(name=FAILED, message=str(error), data=error)


def night_state(result: NightResult) -> State[NightResult]:
    """Return the final state of a scoring run, named after the verdict."""
    count = f"{result.counts}. " if result.rows else ""
    message = f"{count}{result.promise.removesuffix('.')}. Report: {result.path / 'report.html'}"
    if result.calm:
        return Completed(name=result.verdict, message=message, data=result)
    return Failed(name=result.verdict, message=message, data=AlarmingNight(result))


class AlarmingNight(Exception):  # noqa: N818 (a result, not an error of its own)
    """Carries the result of a night that is neither OK nor REVIEW out of its failed flow run."""

    def __init__(self, result: NightResult) -> None:
        super().__init__(result.to_text())
        self.result = result


def tagged(request: TrainRequest | EncodeRequest | ScoreRequest) -> AbstractContextManager[Any]:
    """Tag the runs that start meanwhile with the name of their job."""
    return tags("nightglass", name_in(Path(request.job), request.overrides))


class PrefectBackend:
    """Runs train, encode and score as Prefect flows in this process."""

    def train(self, request: TrainRequest) -> TrainResult:
        """Fit and calibrate a model; promote it if it passes the gate."""
        with tagged(request):
            return cast("TrainResult", train_flow(request))

    def encode(self, request: EncodeRequest) -> EncodeResult:
        """Write a latent store."""
        with tagged(request):
            result: EncodeResult = encode_flow(request)
        return result

    def score(self, request: ScoreRequest) -> NightResult:
        """Score one night."""
        task_runner = pick_task_runner(read_job(Path(request.job), request.overrides))
        try:
            with tagged(request):
                result: object = score_flow.with_options(task_runner=task_runner)(request)
        except AlarmingNight as alarming:
            return alarming.result
        return cast("NightResult", result)
