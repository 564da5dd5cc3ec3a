"""status, label, prune, serve: the commands of whoever operates a job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.commands.options import AsJson, JobFile, UsePrefect
from flows.cli.terminal import reporting


def status(job: JobFile, json: AsJson = False) -> None:
    """Last good night, the model's age, next run, space, open problems.

    The exit code is 1 where there are any.
    Example: nightglass status digits.toml --json
    """
    with reporting(as_json=json) as report:
        from flows.operations.status import status_of  # late: --help stays quick

        report(status_of(job))


def label(
    job: JobFile,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="CSV or Parquet with the columns date, id, label (outlier or normal).",
        ),
    ],
    json: AsJson = False,
) -> None:
    """Take in what analysts found out about reported rows, and say how often a flag was right.

    Example: nightglass label digits.toml checked.csv
    """
    with reporting(as_json=json) as report:
        from flows.operations.labels import label_rows  # late: --help stays quick

        report(label_rows(job, file))


def prune(
    job: JobFile,
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete; without it, only say what would go.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Delete what is older than [retention] says; never what the model in force or the newest report of a night needs.

    Example: nightglass prune digits.toml --yes
    """
    with reporting(as_json=json) as report:
        from flows.operations.prune import prune as prune_job  # late: --help stays quick

        report(prune_job(job, yes=yes))


def serve(
    jobs: Annotated[list[Path], typer.Argument(metavar="JOB…", help="Job files.")],
    prefect: UsePrefect = None,
) -> None:
    """Run the nights of these jobs when they are due, until stopped: a scheduler for one machine, in one process.

    Example: nightglass serve digits.toml clothes.toml
    """
    with reporting(as_json=False):
        from flows.orchestration.serve import serve as serve_jobs  # late: --help stays quick

        serve_jobs(jobs, prefect=prefect)
