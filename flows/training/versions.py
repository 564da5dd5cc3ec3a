"""The versions of a model."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.jobs.job_file import read_job
from flows.jobs.workspace import open_workspace
from flows.results import CommandResult
from storage.models import BUNDLE, list_models, load_bundle, previous_model, promote, read_champion


def list_versions(job: Path) -> CommandResult:
    """All versions of a job's model, newest first, with the one in force marked."""
    models = open_workspace(read_job(job)).models
    champion = read_champion(models)
    ids = list_models(models)[::-1]
    current = champion.current if champion else None
    since = {entry.model_id: entry for entry in champion.history} if champion else {}
    lines = [
        f"{'*' if each == current else ' '} {each}  {describe(since.get(each))}" for each in ids
    ]
    facts = {
        "path": str(models),
        "current": current,
        "models": [{"model_id": each, "in_force": each == current} for each in ids],
    }
    return CommandResult(facts, "\n".join(lines) or "no models yet; run 'nightglass train'")


def describe(entry: Any) -> str:
    """Since when a model is or was in force, and why."""
    return f"in force since {entry.since} by {entry.by}: {entry.why}" if entry else "never in force"


def show_version(job: Path, model_id: str) -> CommandResult:
    """Settings, training data and metrics of one model."""
    models = open_workspace(read_job(job)).models
    facts = json.loads(load_bundle(models, model_id)[BUNDLE[1]])
    return CommandResult({"path": str(models / model_id), **facts}, json.dumps(facts, indent=2))


def promote_version(job: Path, model_id: str, why: str) -> CommandResult:
    """Put a model in force by hand."""
    models = open_workspace(read_job(job)).models
    promote(
        models, model_id, by="hand", why=why, since=datetime.now(UTC).isoformat(timespec="seconds")
    )
    return CommandResult(
        {"path": str(models / model_id), "current": model_id}, f"model {model_id} is in force"
    )


def roll_back(job: Path, why: str) -> CommandResult:
    """Put the model before the current one in force again; its calibration is part of it."""
    models = open_workspace(read_job(job)).models
    return promote_version(job, previous_model(models), f"rollback: {why}")
