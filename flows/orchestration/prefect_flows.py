"""train, encode and score as Prefect flows.

Deployments name them: `flows.orchestration.prefect_flows:score`.
Each flow is the plain body handed a `run_all` of Prefect tasks, and then the artifacts that an
operator reads. A night's verdict is the name of the flow run's final state, so that the list of
runs already says what happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.concurrency.sync import concurrency
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from aemodel.training.result import Epoch
from flows.encoding.encode import EncodeResult, encode_rows
from flows.engine.device import pick_device
from flows.engine.session import WORKERS, begin
from flows.errors import DONE, UsageError
from flows.jobs.job_file import read_job
from flows.jobs.requests import EncodeRequest, ScoreRequest, TrainRequest
from flows.jobs.settings import Job
from flows.orchestration import artifacts, events
from flows.orchestration.prefect_tasks import progress_artifact, run_as_tasks
from flows.scoring.result import NightResult
from flows.scoring.score import score_night
from flows.training.train import TrainResult, train_model

ONE_AT_A_TIME: Any = ThreadPoolTaskRunner(max_workers=1)
SEVERAL: Any = ThreadPoolTaskRunner(max_workers=WORKERS)


def runner_for(job: Job) -> Any:
    """The task runner that [score] asks for.

    Raises UsageError where Dask is wanted and not installed.
    """
    if job.score.runner == "threads":
        return SEVERAL
    try:
        from prefect_dask.task_runners import DaskTaskRunner  # late: an extra
    except ImportError as error:
        raise UsageError(
            "score.runner = 'dask' needs an extra: pip install 'nightglass[dask]'"
        ) from error
    if job.score.dask_address:
        return DaskTaskRunner(address=job.score.dask_address)
    local = {
        "n_workers": WORKERS,
        "threads_per_worker": 1,
        "host": "127.0.0.1",
        "dashboard_address": None,
    }
    return DaskTaskRunner(cluster_kwargs=local)


@contextmanager
def gpu_slot(device: str) -> Iterator[None]:
    """Hold the one place on the GPU; a process that dies loses it with its lease.

    On a CPU there is nothing to hold.
    """
    if device != "cuda":
        yield
        return
    with concurrency("gpu-0", occupy=1):
        yield


def run_name() -> str:
    """Name of a flow run: what it does, for which job, and for which data date."""
    request = flow_run.parameters["request"]
    words = (flow_run.flow_name, Path(request.job).stem, getattr(request, "date", ""))
    return "-".join(word for word in words if word)


@flow(name="train", flow_run_name=run_name, task_runner=ONE_AT_A_TIME)
def train(request: TrainRequest) -> State[TrainResult]:
    """Fit a model on the clean rows, calibrate it, and promote it if the gate lets it pass."""
    settings = begin(request.job, request.overrides, "train")
    device = pick_device(settings.train.device, require_gpu=request.require_gpu)
    progress = progress_artifact(
        f"{settings.name}-train-progress",
        f"Training {settings.name}, {settings.train.epochs} epochs",
    )

    def on_epoch(epoch: Epoch) -> None:
        progress(epoch.number, settings.train.epochs)

    with gpu_slot(device):
        result = train_model(
            settings, run_all=run_as_tasks("fit"), on_epoch=on_epoch, device=device
        )
    artifacts.publish_training(settings.name, result)
    events.model_event(settings.name, result)
    return Completed(
        name="PROMOTED" if result.promoted else "REFUSED", message=result.why, data=result
    )


@flow(name="encode", flow_run_name=run_name, task_runner=SEVERAL)
def encode(request: EncodeRequest) -> EncodeResult:
    """Compress rows into a latent store, and say what it costs and saves."""
    settings = begin(request.job, request.overrides, "encode")
    device = pick_device(settings.train.device, require_gpu=request.require_gpu)
    progress = progress_artifact(
        f"{settings.name}-encode-progress",
        f"Encoding {request.source or request.date or 'the clean rows'} of {settings.name}",
    )
    with gpu_slot(device):
        result = encode_rows(
            settings, request, run_all=run_as_tasks("encode", progress), device=device
        )
    artifacts.publish_store(settings.name, result)
    events.store_event(settings.name, result)
    return result


@flow(name="score", flow_run_name=run_name, task_runner=SEVERAL)
def score(request: ScoreRequest) -> State[NightResult]:
    """Score a night, rank its rows, and write the report."""
    settings = begin(request.job, request.overrides, "score")
    device = pick_device(settings.train.device, require_gpu=request.require_gpu)
    progress = progress_artifact(
        f"{settings.name}-score-progress", f"Scoring {request.date} of {settings.name}"
    )
    run_all = run_as_tasks("score", progress)
    with gpu_slot(device):
        result = score_night(settings, request, run_all=run_all, device=device)
    artifacts.publish_night(settings, result)
    events.night_event(settings.name, result)
    count = f"{result.flagged:,} of {result.rows:,} rows flagged. " if result.rows else ""
    message = f"{count}{result.promise.removesuffix('.')}. Report: {result.path / 'report.html'}"
    if result.exit_code == DONE:
        return Completed(name=result.verdict, message=message, data=result)
    return Failed(name=result.verdict, message=message, data=UnfinishedNight(result))


class UnfinishedNight(Exception):  # noqa: N818 (a result in part, not an error of its own)
    """Carries the result of a night that is PARTIAL, FAILED or NO DATA, so that its flow run stands as failed under that name."""

    def __init__(self, result: NightResult) -> None:
        super().__init__(result.to_text())
        self.result = result


class PrefectBackend:
    """train, encode and score as Prefect flows, called from the command line."""

    def train(self, request: TrainRequest) -> TrainResult:
        """Fit, calibrate, gate, promote."""
        return cast("TrainResult", train(request))

    def encode(self, request: EncodeRequest) -> EncodeResult:
        """Write a latent store."""
        result: EncodeResult = encode(request)
        return result

    def score(self, request: ScoreRequest) -> NightResult:
        """Score one night."""
        runner = runner_for(read_job(Path(request.job), request.overrides))
        try:
            result: Any = score.with_options(task_runner=runner)(request)
        except UnfinishedNight as unfinished:
            return unfinished.result
        return cast("NightResult", result)
