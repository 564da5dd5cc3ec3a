"""train, encode and score in this process, with a progress bar and no Prefect."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from aemodel.trained import Epoch
from flows.encode import EncodeResult, encode_rows
from flows.engine import run_in_threads
from flows.errors import UsageError
from flows.job import Job
from flows.job_file import read_job
from flows.night_result import NightResult
from flows.places import pick_device
from flows.score import score_night
from flows.terminal import log_to, progress_bar
from flows.train import TrainResult, train_model
from flows.workspace import open_workspace

WORKERS = min(4, os.cpu_count() or 1)


class PlainRuns:
    """The flows as plain calls."""

    def train(self, *, job: str, overrides: Sequence[str], require_gpu: bool) -> TrainResult:
        """Fit, calibrate, gate, promote."""
        settings = begin(job, overrides, "train")
        device = pick_device(settings.train.device, require_gpu=require_gpu)
        with progress_bar("training") as progress:

            def on_epoch(epoch: Epoch) -> None:
                progress(epoch.number, settings.train.epochs)

            return train_model(settings, run_all=run_in_threads(1), on_epoch=on_epoch, device=device)

    def encode(self, *, job: str, source: str, date: str, out: str, overrides: Sequence[str], require_gpu: bool) -> EncodeResult:
        """Write a latent store."""
        settings = begin(job, overrides, "encode")
        device = pick_device(settings.train.device, require_gpu=require_gpu)
        with progress_bar("encoding") as progress:
            return encode_rows(settings, source=source, date=date, out=out, run_all=run_in_threads(WORKERS, progress), device=device)

    def score(
        self, *, job: str, date: str, source: str, model: str, force: bool, overrides: Sequence[str], require_gpu: bool
    ) -> NightResult:
        """Judge one night."""
        settings = begin(job, overrides, "score")
        if settings.score.runner != "threads":
            raise UsageError(
                f"score.runner = '{settings.score.runner}' needs Prefect; set PREFECT_API_URL, or add --set score.runner=threads"
            )
        device = pick_device(settings.train.device, require_gpu=require_gpu)
        with progress_bar(f"scoring {date}") as progress:
            return score_night(
                settings, date=date, source=source, model=model, force=force, run_all=run_in_threads(WORKERS, progress), device=device
            )


def begin(job: str, overrides: Sequence[str], command: str) -> Job:
    """Read the job file and start the command's log."""
    settings = read_job(Path(job), overrides)
    log_to(open_workspace(settings).root / "logs", command)
    return settings
