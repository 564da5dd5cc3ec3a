"""status, label, prune and serve: day-to-day operation of a job."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.commands.options import AsJson, JobFile, UsePrefect
from flows.cli.terminal import START_OVER, reporting

LabelFile = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help=(
            "CSV or Parquet with columns date, id, label (outlier or normal), and row where ids "
            "repeat."
        ),
    ),
]
Author = Annotated[
    str, typer.Option("--author", metavar="NAME", help="Who labels (default: the user's name).")
]
Expires = Annotated[
    str,
    typer.Option(
        "--expires",
        metavar="YYYY-MM-DD",
        help="Last day on which the labels hold (default: normal for 90 days, outlier forever).",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Delete (default: dry run).")]
JobFiles = Annotated[list[Path], typer.Argument(metavar="JOB", help="Job files.")]


def status_command(job: JobFile, json: AsJson = False) -> None:
    """Show open problems, the last good night and the next run.

    Also shows the age of the model and the disk usage.
    Exits with code 1 if there are open problems.

    Example: nightglass status digits.toml --json
    """
    with reporting(as_json=json) as report:
        from flows.operations.status import status_of  # late: keeps --help fast

        report(status_of(job))


def label_command(
    job: JobFile, file: LabelFile, author: Author = "", expires: Expires = "", json: AsJson = False
) -> None:
    """Import analysts' labels and show the precision of the flags.

    Confirmed outliers leave the clean rows of later trainings. Rows of later nights that stand out
    in the same way as one labeled normal are listed, but not counted in the verdict.

    Example: nightglass label digits.toml checked.csv --author ann --expires 2026-12-31
    """
    with reporting(as_json=json) as report:
        from flows.operations.labels import label_rows  # late: keeps --help fast

        report(label_rows(job, file, author=author, expires=expires))


def prune_command(job: JobFile, yes: Yes = False, json: AsJson = False) -> None:
    """Delete files past their [retention] period.

    Keeps the champion and every model that a night's newest report depends on.

    Example: nightglass prune digits.toml --yes
    """
    in_part = "what was deleted stays deleted; rerun to delete the rest" if yes else START_OVER
    with reporting(as_json=json, interrupted=in_part) as report:
        from flows.operations.prune import prune  # late: keeps --help fast

        report(prune(job, yes=yes))


def serve_command(jobs: JobFiles, prefect: UsePrefect = None) -> None:
    """Score jobs on their schedules, in one process, until stopped.

    Example: nightglass serve digits.toml clothes.toml
    """
    # a server is told of the end, and its runs end in processes of their own
    in_time = prefect is False or not os.environ.get("PREFECT_API_URL")
    again = "finished shards are kept; start 'serve' again to resume"
    with reporting(as_json=False, interrupted=again, in_time=in_time):
        from flows.orchestration.serve import serve  # late: keeps --help fast

        serve(jobs, prefect=prefect)
