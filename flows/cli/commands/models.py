"""models list, show, promote and rollback: the versions of a job's model."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.commands.options import AsJson, JobFile
from flows.cli.terminal import reporting

ModelId = Annotated[
    str, typer.Argument(metavar="ID", help="Model id, as shown by 'nightglass models list'.")
]
Why = Annotated[
    str, typer.Option("--why", metavar="TEXT", help="Reason, recorded in the champion's history.")
]


def list_command(job: JobFile, json: AsJson = False) -> None:
    """List the versions of a job's model, newest first.

    Example: nightglass models list digits.toml
    """
    with reporting(as_json=json) as report:
        from flows.training.versions import list_versions  # late: keeps --help fast

        report(list_versions(job))


def show_command(job: JobFile, model_id: ModelId, json: AsJson = False) -> None:
    """Show the settings, training data and metrics of one model.

    Example: nightglass models show digits.toml 1a2b3c4d5e6f
    """
    with reporting(as_json=json) as report:
        from flows.training.versions import show_version  # late: keeps --help fast

        report(show_version(job, model_id))


def promote_command(
    job: JobFile, model_id: ModelId, why: Why = "by hand", json: AsJson = False
) -> None:
    """Make a model the champion, overriding the promotion gate.

    Example: nightglass models promote digits.toml 1a2b3c4d5e6f --why "new sensor"
    """
    with reporting(as_json=json) as report:
        from flows.training.versions import promote_version  # late: keeps --help fast

        report(promote_version(job, model_id, why))


def rollback_command(job: JobFile, why: Why = "by hand", json: AsJson = False) -> None:
    """Restore the previous champion, including its calibration.

    Example: nightglass models rollback digits.toml --why "false alarms since Monday"
    """
    with reporting(as_json=json) as report:
        from flows.training.versions import roll_back  # late: keeps --help fast

        report(roll_back(job, why))
