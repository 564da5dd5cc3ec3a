"""Arguments and options that several commands share, so that the same thing has the same name everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

JobFile = Annotated[Path, typer.Argument(metavar="JOB", help="The job file, as in digits.toml.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Put another value over a key of the job file; may be given often.",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")
]
Source = Annotated[
    str,
    typer.Option(
        "--source", metavar="S", help="Read these rows instead of the ones the job file names."
    ),
]
DataDate = Annotated[
    str, typer.Option("--date", metavar="YYYY-MM-DD", help="The day that the data speaks of.")
]
RequireGpu = Annotated[bool, typer.Option("--require-gpu", help="Refuse to run on a CPU.")]
UsePrefect = Annotated[
    bool | None,
    typer.Option(
        "--prefect/--no-prefect",
        help="Record the run on a Prefect server, or do not; without it, as PREFECT_API_URL is set or not.",
    ),
]
