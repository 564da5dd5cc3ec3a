"""The versions of a model: list, show, promote, roll back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from flows.jobs.job_file import read_job
from flows.jobs.workspace import find_workspace, open_workspace
from flows.results import CommandResult
from storage.models import (
    BUNDLE,
    Promotion,
    champion_lock,
    list_models,
    load_bundle,
    previous_model,
    promote,
    read_champion,
)


def list_versions(job: Path) -> CommandResult:
    """All versions of a job's model, newest first; the champion is marked."""
    models = find_workspace(read_job(job)).models
    champion = read_champion(models)
    current = champion.current if champion else None
    promotions = {entry.model_id: entry for entry in champion.history} if champion else {}
    newest_first = list_models(models)[::-1]
    lines = [
        f"{'*' if each == current else ' '} {each}  {_promotion_line(promotions.get(each))}"
        for each in newest_first
    ]
    facts = {
        "path": str(models),
        "current": current,
        "models": [{"model_id": each, "champion": each == current} for each in newest_first],
    }
    return CommandResult(facts, "\n".join(lines) or "no models yet; run 'nightglass train'")


def _promotion_line(entry: Promotion | None) -> str:
    if entry is None:
        return "never champion"
    return f"champion since {entry.since} by {entry.by}: {entry.why}"


def show_version(job: Path, model_id: str) -> CommandResult:
    """Settings, training data and metrics of one model."""
    models = find_workspace(read_job(job)).models
    facts = json.loads(load_bundle(models, model_id)[BUNDLE[1]])
    return CommandResult({"path": str(models / model_id), **facts}, json.dumps(facts, indent=2))


def promote_version(job: Path, model_id: str, why: str) -> CommandResult:
    """Make a model the champion by hand."""
    models = open_workspace(read_job(job)).models
    with champion_lock(models):
        return _promote(models, model_id, why)


def roll_back(job: Path, why: str) -> CommandResult:
    """Make the previous champion the champion again, with its own calibration."""
    models = open_workspace(read_job(job)).models
    with champion_lock(models):
        return _promote(models, previous_model(models), f"rollback: {why}")


def _promote(models: Path, model_id: str, why: str) -> CommandResult:
    """Promote a model; the caller holds the lock of the champion."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    promote(models, Promotion(model_id, since=now, by="hand", why=why))
    facts = {"path": str(models / model_id), "current": model_id}
    return CommandResult(facts, f"model {model_id} is now champion")
