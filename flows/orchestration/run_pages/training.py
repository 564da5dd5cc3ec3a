"""The artifact of a training run: the gate's verdict, the loss curve, and the calibration."""

from __future__ import annotations

from collections.abc import Iterator

from aemodel.training.gate_checks import Check
from flows.orchestration.run_pages.markdown import MarkdownArtifact, escape, facts_table
from flows.training.result import TrainResult
from storage.pages.figures import loss_curve


def training_markdown(result: TrainResult) -> MarkdownArtifact:
    """Describe a training run, verdict first."""
    verdict = "promoted" if result.promoted else "REFUSED"
    description = f"Model {result.model_id} {verdict}: {escape(result.why)}"
    return MarkdownArtifact(description, "\n\n".join(_training_parts(result)))


def _training_parts(result: TrainResult) -> Iterator[str]:
    yield f"# {'Promoted' if result.promoted else 'Refused'}: model {result.model_id}"
    yield escape(f"{result.why[0].upper()}{result.why[1:]}.")
    yield from _gate_checks(result)
    yield "## Loss"
    yield f"![loss per epoch]({loss_curve(result.train_losses, result.validation_losses)})"
    yield facts_table([("clean rows", f"{result.rows:,}"), *result.figures.items()])
    yield "## Calibration"
    yield f"> {escape(result.promise)}"
    if result.warning:
        yield f"**Warning:** {escape(result.warning)}."
    yield facts_table(result.calibration.items())
    yield f"Training report: `{result.path / 'training.html'}`"


def _gate_checks(result: TrainResult) -> Iterator[str]:
    """Yield the gate's checks, if there was a champion to compare with.

    As a list, since the lines are too long for a table.
    """
    if result.checks:
        yield "## Compared with the champion"
        yield "\n".join(_check_line(check) for check in result.checks)


def _check_line(check: Check) -> str:
    verdict = "passed" if check.passed else "**refused**"
    return f"- {verdict}: {escape(f'{check.what} {check.found}; allowed: {check.allowed}')}"
