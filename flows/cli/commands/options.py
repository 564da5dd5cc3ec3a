"""Arguments and options shared by several commands, defined once so that names and help agree."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

JobFile = Annotated[Path, typer.Argument(metavar="JOB", help="Job file, e.g. digits.toml.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a job-file key (repeatable)."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
Field = Annotated[
    str,
    typer.Option("--field", metavar="NAME", help="HDF5 dataset or NPZ member to read."),
]
Source = Annotated[
    str,
    typer.Option(
        "--source", metavar="SOURCE", help="Read rows from here instead of from the job's input."
    ),
]
DataDate = Annotated[
    str, typer.Option("--date", metavar="YYYY-MM-DD", help="Date the data covers.")
]
RequireGpu = Annotated[
    bool, typer.Option("--require-gpu", help="Fail instead of falling back to the CPU.")
]
UsePrefect = Annotated[
    bool | None,
    typer.Option(
        "--prefect/--no-prefect",
        help="Run through Prefect or locally (default: Prefect if PREFECT_API_URL is set).",
    ),
]
