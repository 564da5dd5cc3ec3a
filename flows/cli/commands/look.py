"""inspect, verify, models: the commands that look at what is there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.commands.options import AsJson, JobFile
from flows.cli.terminal import reporting

SomePath = Annotated[
    Path, typer.Argument(metavar="PATH", help="A source, model, latent store, scores or report.")
]
ModelId = Annotated[
    str, typer.Argument(metavar="ID", help="A model id, as `models list` shows it.")
]


def inspect(
    path: SomePath,
    field: Annotated[
        str,
        typer.Option("--field", help="HDF5 dataset or NPZ member, where the file holds several."),
    ] = "",
    json: AsJson = False,
) -> None:
    """Say what a source, model, store or report holds, and its format version.

    Example: nightglass inspect workspace/latents/digits/night-1a2b3c4d
    """
    with reporting(as_json=json) as report:
        from flows.operations.inspect import inspect_path  # late: --help stays quick

        report(inspect_path(path, field=field))


def verify(path: SomePath, json: AsJson = False) -> None:
    """Check every checksum of a model, store, scores or report.

    Example: nightglass verify workspace/reports/digits/2026-11-22/rev=1
    """
    with reporting(as_json=json) as report:
        from flows.operations.inspect import verify_path  # late: --help stays quick

        report(verify_path(path))


def models_list(job: JobFile, json: AsJson = False) -> None:
    """List the versions of a job's model, newest first.

    Example: nightglass models list digits.toml
    """
    with reporting(as_json=json) as report:
        from flows.training.versions import list_versions  # late: --help stays quick

        report(list_versions(job))


def models_show(job: JobFile, model_id: ModelId, json: AsJson = False) -> None:
    """Show one model: settings, training data, metrics.

    Example: nightglass models show digits.toml 1a2b3c4d5e6f
    """
    with reporting(as_json=json) as report:
        from flows.training.versions import show_version  # late: --help stays quick

        report(show_version(job, model_id))


def models_promote(
    job: JobFile,
    model_id: ModelId,
    why: Annotated[str, typer.Option("--why", help="Kept in the history.")] = "by hand",
    json: AsJson = False,
) -> None:
    """Make a model the one in force, whatever the gate said.

    Example: nightglass models promote digits.toml 1a2b3c4d5e6f --why "new sensor"
    """
    with reporting(as_json=json) as report:
        from flows.training.versions import promote_version  # late: --help stays quick

        report(promote_version(job, model_id, why))


def models_rollback(
    job: JobFile,
    why: Annotated[str, typer.Option("--why", help="Kept in the history.")] = "by hand",
    json: AsJson = False,
) -> None:
    """Go back to the model that was in force before; its calibration comes with it.

    Example: nightglass models rollback digits.toml --why "false alarms since Monday"
    """
    with reporting(as_json=json) as report:
        from flows.training.versions import roll_back  # late: --help stays quick

        report(roll_back(job, why))
