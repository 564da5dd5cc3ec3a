"""The local backend: train, encode and score in this process, with progress bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.engine.device import pick_device
from flows.engine.progress import part
from flows.engine.progress_bars import progress_shown
from flows.engine.run_all import run_in_threads
from flows.engine.session import WORKERS, begin
from flows.errors import UsageError
from flows.in_sample.score import score_in_sample
from flows.jobs.requests import EncodeRequest, ScoreRequest, TrainRequest
from flows.jobs.settings import Job
from flows.jobs.workspace import open_workspace
from flows.results import CommandResult
from flows.scoring.result import NightResult
from flows.scoring.score import score_night
from flows.training.ranks import joined, refuse_several
from flows.training.result import TrainResult
from flows.training.train import fit_along, train_model

if TYPE_CHECKING:  # importing it loads the codecs and HDF5, which others do not need
    from flows.encoding.encode import EncodeResult


class LocalBackend:
    """Runs train, encode and score as plain function calls."""

    def train(self, request: TrainRequest) -> TrainResult | CommandResult:
        """Fit and calibrate a model; promote it if it passes the gate.

        Of several processes that torchrun started, the first does so; the others help it to fit.
        """
        job = begin(request.job, request.overrides, "train")
        device = pick_device(job.train.device, require_gpu=request.require_gpu)
        with joined(job, device) as rank:
            return self._fit_along(job, device, rank) if rank else self._train(job, device)

    def _train(self, job: Job, device: str) -> TrainResult:
        with progress_shown(), part(f"training {job.name}"):
            return train_model(job, run_all=run_in_threads(1), device=device)

    def _fit_along(self, job: Job, device: str, rank: int) -> CommandResult:
        fit_along(job, device=device)
        facts = {"path": str(open_workspace(job).models), "rank": rank}
        return CommandResult(facts, f"Process {rank} has fitted; process 0 writes the model")

    def encode(self, request: EncodeRequest) -> EncodeResult:
        """Write a latent store."""
        from flows.encoding.encode import encode_rows  # late: loads the codecs and HDF5

        refuse_several("'encode'; start one process")
        job = begin(request.job, request.overrides, "encode")
        device = pick_device(job.train.device, require_gpu=request.require_gpu)
        with progress_shown(), part(f"encoding for {job.name}"):
            return encode_rows(job, request, run_all=run_in_threads(WORKERS), device=device)

    def score(self, request: ScoreRequest) -> NightResult:
        """Score one night. Raises UsageError if the job file asks for Dask."""
        refuse_several("'score'; start one process")
        job = begin(request.job, request.overrides, "score")
        if job.score.runner != "threads":
            raise UsageError(
                f"score.runner = '{job.score.runner}' needs Prefect; "
                "set PREFECT_API_URL, or add --set score.runner=threads"
            )
        device = pick_device(job.train.device, require_gpu=request.require_gpu)
        with progress_shown(), part(f"night of {request.date}"):
            return score_night(job, request, run_all=run_in_threads(WORKERS), device=device)

    def score_in_sample(self, request: ScoreRequest) -> NightResult:
        """Score the clean source itself."""
        refuse_several("'score'; start one process")
        job = begin(request.job, request.overrides, "score")
        device = pick_device(job.train.device, require_gpu=request.require_gpu)
        with progress_shown(), part("scoring the clean rows"):
            return score_in_sample(job, request, run_all=run_in_threads(WORKERS), device=device)
