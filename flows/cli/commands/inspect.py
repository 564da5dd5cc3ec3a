"""inspect and verify: show what a path holds, and check it against its checksums."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.commands.options import AsJson, Field
from flows.cli.terminal import reporting

InspectPath = Annotated[
    Path,
    typer.Argument(
        metavar="PATH", help="Source, model, latent store, scores or report; a path or a URI."
    ),
]
VerifyPath = Annotated[
    Path,
    typer.Argument(metavar="PATH", help="Model, latent store, scores or report; a path or a URI."),
]


def inspect_command(path: InspectPath, field: Field = "", json: AsJson = False) -> None:
    """Show what a source, model, store, scores or report contains.

    Example: nightglass inspect workspace/latents/digits/night-1a2b3c4d
    """
    with reporting(as_json=json) as report:
        from flows.operations.inspect import inspect_path  # late: keeps --help fast

        report(inspect_path(path, field=field))


def verify_command(path: VerifyPath, json: AsJson = False) -> None:
    """Verify all checksums of a model, store, scores or report.

    Example: nightglass verify workspace/reports/digits/2026-11-22/rev=1
    """
    with reporting(as_json=json) as report:
        from flows.operations.inspect import verify_path  # late: keeps --help fast

        report(verify_path(path))
