"""Versions of a job's model: bundles in folders named by their content, and champion.json, which says which one is in force.

models/<job>/<model_id>/model.safetensors, model.json, training.html, manifest.json, run.json
models/<job>/champion.json
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, tzinfo
from pathlib import Path
from typing import Any

from storage.errors import DamagedError, WorkspaceError
from storage.files.atomic import json_bytes, publish_folder, write_bytes, write_json
from storage.files.manifest import check_format_version, require_whole, write_manifest

CHAMPION = "champion.json"
BUNDLE = ("model.safetensors", "model.json")
ID_DIGITS = 12
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Promotion:
    """One entry of the history: from `since` (UTC, ISO 8601) on, `model_id` was in force."""

    model_id: str
    since: str
    by: str
    why: str


@dataclass(frozen=True)
class Champion:
    """The model in force, and all promotions, oldest first."""

    current: str
    history: tuple[Promotion, ...]

    def as_of(self, day: date, zone: tzinfo) -> str:
        """The model in force at the end of a day in a time zone.

        The first one for days before any promotion.
        """
        before = [
            entry.model_id
            for entry in self.history
            if datetime.fromisoformat(entry.since).astimezone(zone).date() <= day
        ]
        return before[-1] if before else self.history[0].model_id


def bundle_id(files: Mapping[str, bytes]) -> str:
    """The model_id: the first 12 hex digits of the SHA-256 over the SHA-256 of model.safetensors and that of model.json, a line each."""
    digests = "\n".join(hashlib.sha256(files[name]).hexdigest() for name in BUNDLE)
    return hashlib.sha256(digests.encode()).hexdigest()[:ID_DIGITS]


def save_bundle(
    models: Path,
    files: Mapping[str, bytes],
    *,
    work: Path,
    extra: Mapping[str, bytes],
    run: Mapping[str, Any],
) -> str:
    """Publish a bundle with its `extra` files and return its id.

    Where the same bundle is already there, nothing is written.
    """
    model_id = bundle_id(files)
    if (models / model_id).exists():
        require_whole(models / model_id)
        return model_id
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    for name, content in {**files, **extra}.items():
        write_bytes(work / name, content)
    write_manifest(work, "model", {"model_id": model_id})
    write_bytes(work / "run.json", json_bytes(run))
    publish_folder(work, models / model_id)
    return model_id


def load_bundle(models: Path, model_id: str) -> dict[str, bytes]:
    """The files of a bundle, checked against their digests.

    Raises WorkspaceError that lists the ids there are, or
    DamagedError.
    """
    folder = models / model_id
    if model_id not in (known := list_models(models)):
        champion = read_champion(models)
        if champion and champion.current == model_id:
            raise DamagedError(
                f"{folder}: the model in force is gone; restore the folder, or remove {CHAMPION} beside it and promote another"
            )
        raise WorkspaceError(
            f"{folder}: no such model; there are: {', '.join(known) or 'none, run train first'}"
        )
    require_whole(folder)
    files = {name: (folder / name).read_bytes() for name in BUNDLE}
    if bundle_id(files) != model_id:
        raise DamagedError(
            f"{folder}: the files are those of model {bundle_id(files)}; restore the folder from a copy"
        )
    return files


def list_models(models: Path) -> list[str]:
    """Ids of all versions, by the time they were made."""
    folders = list(models.glob("*/manifest.json")) if models.is_dir() else []
    return [path.parent.name for path in sorted(folders, key=lambda path: path.stat().st_mtime_ns)]


def read_champion(models: Path) -> Champion | None:
    """Which model is in force; None where none was ever promoted."""
    path = models / CHAMPION
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        check_format_version(path, found["format_version"], FORMAT_VERSION)
        return Champion(found["current"], tuple(Promotion(**entry) for entry in found["history"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(
            f"{path}: not readable ({error}); restore it from a copy, or remove it and promote a model again"
        ) from error


def promote(models: Path, model_id: str, *, by: str, why: str, since: str) -> None:
    """Put a model in force from `since` (UTC, ISO 8601) on; the history keeps who did it and why."""
    load_bundle(models, model_id)
    champion = read_champion(models)
    history = (*(champion.history if champion else ()), Promotion(model_id, since, by, why))
    facts = {
        "format_version": FORMAT_VERSION,
        "current": model_id,
        "history": [asdict(entry) for entry in history],
    }
    write_json(models / CHAMPION, facts)


def previous_model(models: Path) -> str:
    """The model that was in force before the current one.

    Raises WorkspaceError where there was none.
    """
    champion = read_champion(models)
    others = (
        [entry.model_id for entry in champion.history if entry.model_id != champion.current]
        if champion
        else []
    )
    if not others:
        raise WorkspaceError(f"{models / CHAMPION}: there is no earlier model to go back to")
    return others[-1]
