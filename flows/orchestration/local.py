"""The local backend: train, encode and score in this process, with a progress bar."""

from __future__ import annotations

from aemodel.training.result import Epoch
from flows.encoding.encode import EncodeResult, encode_rows
from flows.engine.device import pick_device
from flows.engine.progress import progress_bar
from flows.engine.run_all import run_in_threads
from flows.engine.session import WORKERS, begin
from flows.errors import UsageError
from flows.in_sample.score import score_in_sample
from flows.jobs.requests import EncodeRequest, ScoreRequest, TrainRequest
from flows.scoring.result import NightResult
from flows.scoring.score import score_night
from flows.training.result import TrainResult
from flows.training.train import train_model


class LocalBackend:
    """Runs train, encode and score as plain function calls."""

    def train(self, request: TrainRequest) -> TrainResult:
        """Fit and calibrate a model; promote it if it passes the gate."""
        job = begin(request.job, request.overrides, "train")
        device = pick_device(job.train.device, require_gpu=request.require_gpu)
        with progress_bar("training") as progress:

            def on_epoch(epoch: Epoch) -> None:
                progress(epoch.number, job.train.epochs)

            return train_model(job, run_all=run_in_threads(1), on_epoch=on_epoch, device=device)

    def encode(self, request: EncodeRequest) -> EncodeResult:
        """Write a latent store."""
        job = begin(request.job, request.overrides, "encode")
        device = pick_device(job.train.device, require_gpu=request.require_gpu)
        with progress_bar("encoding") as progress:
            run_all = run_in_threads(WORKERS, progress)
            return encode_rows(job, request, run_all=run_all, device=device)

    def score(self, request: ScoreRequest) -> NightResult:
        """Score one night. Raises UsageError if the job file asks for Dask."""
        job = begin(request.job, request.overrides, "score")
        if job.score.runner != "threads":
            raise UsageError(
                f"score.runner = '{job.score.runner}' needs Prefect; "
                "set PREFECT_API_URL, or add --set score.runner=threads"
            )
        device = pick_device(job.train.device, require_gpu=request.require_gpu)
        with progress_bar(f"scoring {request.date}") as progress:
            run_all = run_in_threads(WORKERS, progress)
            return score_night(job, request, run_all=run_all, device=device)

    def score_in_sample(self, request: ScoreRequest) -> NightResult:
        """Score the clean source itself."""
        job = begin(request.job, request.overrides, "score")
        device = pick_device(job.train.device, require_gpu=request.require_gpu)
        with progress_bar("fitting folds") as progress:
            run_all = run_in_threads(WORKERS)
            return score_in_sample(job, request, run_all=run_all, on_fold=progress, device=device)
