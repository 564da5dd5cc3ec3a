"""The `nightglass` command.

Commands are grouped by module in flows/cli/commands. They import torch, Prefect and NumPy only
when they run, so that `--help` is fast.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from flows.cli.commands import getting_started, inspect, models, operations, pipelines, stores

Command = Callable[..., None]

app = typer.Typer(
    name="nightglass",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models_app = typer.Typer(
    help="List, show, promote and roll back the model versions of a job.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

COMMANDS: Mapping[str, Command] = {
    "demo": getting_started.demo_command,
    "init": getting_started.init_command,
    "inspect": inspect.inspect_command,
    "verify": inspect.verify_command,
    "train": pipelines.train_command,
    "encode": pipelines.encode_command,
    "decode": stores.decode_command,
    "pack": stores.pack_command,
    "score": pipelines.score_command,
    "probe": stores.probe_command,
    "status": operations.status_command,
    "label": operations.label_command,
    "prune": operations.prune_command,
    "serve": operations.serve_command,
}
MODELS_COMMANDS: Mapping[str, Command] = {
    "list": models.list_command,
    "show": models.show_command,
    "promote": models.promote_command,
    "rollback": models.rollback_command,
}


def register(target: typer.Typer, commands: Mapping[str, Command]) -> None:
    """Add each function to a typer app under its command name."""
    for name, command in commands.items():
        target.command(name)(command)


register(app, COMMANDS)
register(models_app, MODELS_COMMANDS)
app.add_typer(models_app, name="models")


def print_version(wanted: bool) -> None:
    """Print the version and end the command, if that is wanted."""
    if wanted:
        from importlib.metadata import version  # late: keeps --help fast

        typer.echo(f"nightglass {version('nightglass')}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=print_version, is_eager=True, help="Print the version."),
]


@app.callback()
def nightglass(show_version: Version = False) -> None:
    r"""Find outliers in nightly data with autoencoders, and compress datasets.

    \b
    First steps:
      nightglass demo                                   see everything on digits
      nightglass init clean.parquet > job.toml          propose a job file
      nightglass train job.toml                         fit and calibrate a model
      nightglass score job.toml --date 2026-11-22       report of a night
    """


def main() -> None:
    """Run the console script."""
    # torch reads this when it loads; without it, spin-waiting threads slow down a busy machine
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()
