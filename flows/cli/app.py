"""The `nightglass` command.

Each group of commands has a file in flows/commands; nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import typer

from flows.cli.commands import look, operate, start, work

app = typer.Typer(
    name="nightglass",
    help="Train autoencoders on clean data, compress datasets into latent stores, and rank each night's outliers in a report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models = typer.Typer(help="Versions of a job's model.", no_args_is_help=True, rich_markup_mode=None)

COMMANDS: tuple[Callable[..., None], ...] = (
    start.demo,
    start.init,
    look.inspect,
    look.verify,
    work.train,
    work.encode,
    work.decode,
    work.pack,
    work.score,
    work.probe,
    operate.status,
    operate.label,
    operate.prune,
    operate.serve,
)
MODELS: dict[str, Callable[..., None]] = {
    "list": look.models_list,
    "show": look.models_show,
    "promote": look.models_promote,
    "rollback": look.models_rollback,
}
for command in COMMANDS:
    app.command()(command)
for name, command in MODELS.items():
    models.command(name)(command)
app.add_typer(models, name="models")


def main() -> None:
    """Entry point of the console script."""
    os.environ.setdefault(
        "OMP_WAIT_POLICY", "PASSIVE"
    )  # read when torch loads: threads that wait by spinning crawl on a busy machine
    app()
