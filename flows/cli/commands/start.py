"""demo and init: the commands that a newcomer types first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.commands.options import AsJson, UsePrefect
from flows.cli.terminal import reporting


def demo(
    folder: Annotated[
        Path, typer.Option("--dir", metavar="D", help="Where the demo writes; a folder of its own.")
    ] = Path("nightglass-demo"),
    prefect: UsePrefect = True,
    json: AsJson = False,
) -> None:
    """Run the whole job on real handwritten digits that ship with scikit-learn, with real foreign images among them.

    Example: nightglass demo --dir /tmp/demo
    """
    with reporting(as_json=json) as report:
        from flows.cli.demo import run_demo  # late: --help stays quick

        report(run_demo(folder, prefect=prefect is not False))


def init(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Clean rows: a file, a folder of Parquet or CSV files, or a glob.",
        ),
    ],
    field: Annotated[
        str,
        typer.Option("--field", help="HDF5 dataset or NPZ member, where the file holds several."),
    ] = "",
    json: AsJson = False,
) -> None:
    """Look at the data and print a job file fit for it, with the reasons as comments.

    Example: nightglass init mnist/train-images-idx3-ubyte.gz > digits.toml
    """
    with reporting(as_json=json) as report:
        from flows.jobs.propose import propose_job  # late: --help stays quick

        report(propose_job(source, field=field))
