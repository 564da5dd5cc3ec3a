"""train, encode and score: the pipelines, run locally or through Prefect."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.commands.options import (
    AsJson,
    DataDate,
    JobFile,
    Overrides,
    RequireGpu,
    Source,
    UsePrefect,
)
from flows.cli.slow_imports import slow_imports
from flows.cli.terminal import RESUME, reporting
from flows.jobs.requests import EncodeRequest, ScoreRequest, TrainRequest

RESUME_EPOCHS = "rerun to resume after the last checkpoint, or to start over if there is none yet"
StoreFolder = Annotated[
    str,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Output folder, or a URI such as s3://bucket/store (default: in the workspace).",
    ),
]
FirstDate = Annotated[
    str, typer.Option("--from", metavar="YYYY-MM-DD", help="First data date of a range.")
]
LastDate = Annotated[
    str, typer.Option("--to", metavar="YYYY-MM-DD", help="Last data date of a range.")
]
ModelChoice = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="ID",
        help=(
            "Model id, or 'as-of' for the champion on the data date (default: current champion)."
        ),
    ),
]
InSample = Annotated[
    bool,
    typer.Option(
        "--in-sample",
        help="Rank the rows of data.clean itself, each by a model that was not fitted on it.",
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Write a new revision even if nothing has changed.")
]


def train_command(
    job: JobFile,
    overrides: Overrides = None,
    require_gpu: RequireGpu = False,
    prefect: UsePrefect = None,
    json: AsJson = False,
) -> None:
    """Train and calibrate a model; promote it if it passes the gate.

    Example: nightglass train digits.toml --set model.latent=8
    """
    with reporting(as_json=json, interrupted=RESUME_EPOCHS) as report:
        with slow_imports():
            from flows.orchestration.backends import pick_backend  # late: keeps --help fast

            backend = pick_backend(prefect)
        request = TrainRequest(
            job=str(job), overrides=tuple(overrides or ()), require_gpu=require_gpu
        )
        report(backend.train(request))


def encode_command(
    job: JobFile,
    source: Source = "",
    date: DataDate = "",
    out: StoreFolder = "",
    overrides: Overrides = None,
    require_gpu: RequireGpu = False,
    prefect: UsePrefect = None,
    json: AsJson = False,
) -> None:
    """Compress rows into a latent store and report its size and error.

    Encodes the clean rows unless --source or --date is given.

    Example: nightglass encode digits.toml --date 2026-11-22
    """
    with reporting(as_json=json, interrupted=RESUME) as report:
        with slow_imports():
            from flows.orchestration.backends import pick_backend  # late: keeps --help fast

            backend = pick_backend(prefect)
        request = EncodeRequest(
            job=str(job),
            source=source,
            date=date,
            out=out,
            overrides=tuple(overrides or ()),
            require_gpu=require_gpu,
        )
        report(backend.encode(request))


def score_command(
    job: JobFile,
    date: DataDate = "",
    since: FirstDate = "",
    to: LastDate = "",
    source: Source = "",
    model: ModelChoice = "",
    in_sample: InSample = False,
    force: Force = False,
    overrides: Overrides = None,
    require_gpu: RequireGpu = False,
    prefect: UsePrefect = None,
    json: AsJson = False,
) -> None:
    """Score a night, rank its rows, and write the report.

    Scores yesterday, in the job's time zone, unless a date is given. With --in-sample, finds the
    outliers of the clean source itself, which needs no trained model and takes several trainings.

    Example: nightglass score digits.toml --date 2026-11-22
    """
    with reporting(as_json=json, interrupted=RESUME) as report:
        with slow_imports():
            from flows.cli.score_range import score_clean_rows, score_nights  # late: as above
        request = ScoreRequest(
            job=str(job),
            date=date,
            source=source,
            model=model,
            force=force,
            overrides=tuple(overrides or ()),
            require_gpu=require_gpu,
        )
        if in_sample:
            report(score_clean_rows(request, since=since, to=to, prefect=prefect))
        else:
            report(score_nights(request, since=since, to=to, prefect=prefect))
