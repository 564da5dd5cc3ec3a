"""demo and init: the first commands a new user runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.commands.options import AsJson, Field
from flows.cli.terminal import reporting

DemoFolder = Annotated[
    Path, typer.Option("--dir", metavar="DIR", help="Output folder: new, or from an earlier demo.")
]
DemoPrefect = Annotated[
    bool, typer.Option("--prefect/--no-prefect", help="Run through Prefect or locally.")
]
CleanRows = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help=("Clean rows: a file, a folder of tables, a glob, or a query ('sql: SELECT …')."),
    ),
]

Connection = Annotated[
    str,
    typer.Option(
        "--connection",
        metavar="VARIABLE",
        help="Environment variable that holds the URI of the query's database.",
    ),
]


def demo_command(
    folder: DemoFolder = Path("nightglass-demo"),
    prefect: DemoPrefect = True,
    json: AsJson = False,
) -> None:
    """Train, encode and score on scikit-learn's handwritten digits.

    The night to score also contains patches of photographs, which should rank first.

    Example: nightglass demo --dir /tmp/demo
    """
    with reporting(as_json=json) as report:
        from flows.cli.demo import run_demo  # late: keeps --help fast

        report(run_demo(folder, prefect=prefect))


def init_command(
    source: CleanRows, field: Field = "", connection: Connection = "", json: AsJson = False
) -> None:
    """Inspect clean data and print a job file for it.

    A comment explains each choice.

    Example: nightglass init mnist/train-images-idx3-ubyte.gz > digits.toml
    """
    with reporting(as_json=json) as report:
        from flows.jobs.proposal.propose import propose_job  # late: keeps --help fast

        report(propose_job(source, field=field, connection=connection))
