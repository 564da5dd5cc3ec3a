"""Model bundles in folders named by their content, and champion.json, which names the champion.

models/<job>/<model_id>/model.safetensors, model.json, training.html, manifest.json, run.json
models/<job>/champion.json
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime, tzinfo
from pathlib import Path

from storage.errors import DamagedError, WorkspaceError
from storage.files.atomic import json_bytes, publish_folder, write_bytes, write_json
from storage.files.locks import CHANGE_SECONDS, lock
from storage.files.manifest import Json, check_format_version, require_whole, write_manifest
from storage.files.reads import read_refusals

CHAMPION = "champion.json"
BUNDLE = ("model.safetensors", "model.json")
ID_DIGITS = 12
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Promotion:
    """One entry of the history: `model_id` became champion at `since` (UTC, ISO 8601)."""

    model_id: str
    since: str
    by: str
    why: str

    def day(self, zone: tzinfo) -> date:
        """Return the date of the promotion in a time zone."""
        return datetime.fromisoformat(self.since).astimezone(zone).date()


@dataclass(frozen=True)
class Champion:
    """The current champion's model_id, and all promotions, oldest first."""

    current: str
    history: tuple[Promotion, ...]

    def as_of(self, day: date, zone: tzinfo) -> str:
        """Return the champion at the end of `day` in a time zone.

        For days before any promotion, this is the first champion.
        """
        before = [entry.model_id for entry in self.history if entry.day(zone) <= day]
        return before[-1] if before else self.history[0].model_id

    def previous(self) -> str | None:
        """Return the most recent champion other than the current one."""
        others = [entry.model_id for entry in self.history if entry.model_id != self.current]
        return others[-1] if others else None

    def to_json(self) -> Json:
        """Return the content of champion.json."""
        return {
            "format_version": FORMAT_VERSION,
            "current": self.current,
            "history": [asdict(entry) for entry in self.history],
        }

    @classmethod
    def from_json(cls, content: Json) -> Champion:
        """Rebuild a champion from `to_json`. Raises KeyError and TypeError."""
        history = tuple(Promotion(**entry) for entry in content["history"])
        return cls(content["current"], history)


def bundle_id(files: Mapping[str, bytes]) -> str:
    """Return the model_id of a bundle: 12 hex digits of a SHA-256.

    It is taken over two lines, the SHA-256 of model.safetensors and that of model.json.
    """
    digests = "\n".join(hashlib.sha256(files[name]).hexdigest() for name in BUNDLE)
    return hashlib.sha256(digests.encode()).hexdigest()[:ID_DIGITS]


def save_bundle(
    models: Path,
    files: Mapping[str, bytes],
    *,
    work: Path,
    extra: Mapping[str, bytes],
    run: Mapping[str, object],
) -> str:
    """Publish a bundle with its `extra` files and return its model_id.

    Writes nothing if the same bundle already exists.
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
    """Return the files of a bundle, checked against their digests.

    Raises WorkspaceError that lists the known ids, or DamagedError.
    """
    folder = models / model_id
    _require_known(models, model_id)
    require_whole(folder)
    files = {name: (folder / name).read_bytes() for name in BUNDLE}
    if bundle_id(files) != model_id:
        raise DamagedError(
            f"{folder}: its files belong to model {bundle_id(files)}; "
            "restore the folder from a copy"
        )
    return files


def _require_known(models: Path, model_id: str) -> None:
    known = list_models(models)
    if model_id in known:
        return
    champion = read_champion(models)
    if champion and champion.current == model_id:
        raise DamagedError(
            f"{models / model_id}: the champion is missing; restore the folder, "
            f"or remove {CHAMPION} beside it and promote another model"
        )
    raise WorkspaceError(
        f"{models / model_id}: no such model; available: "
        f"{', '.join(known) or 'none, run train first'}"
    )


def list_models(models: Path) -> list[str]:
    """Return the ids of all models, oldest first."""
    manifests = list(models.glob("*/manifest.json")) if models.is_dir() else []
    manifests.sort(key=lambda path: path.stat().st_mtime_ns)
    return [path.parent.name for path in manifests]


def missing_champion(models: Path) -> str:
    """Say that there is no champion, and what to do."""
    trained = list_models(models)
    if not trained:
        return "no champion yet: run 'nightglass train JOB'"
    return (
        f"no champion: the newest model, {trained[-1]}, is not promoted; see training.html in its "
        f"folder, train again, or run 'nightglass models promote JOB {trained[-1]}'"
    )


def read_champion(models: Path) -> Champion | None:
    """Return the champion, or None if no model was ever promoted."""
    path = models / CHAMPION
    if not path.exists():
        return None
    try:
        with read_refusals(path):
            content = json.loads(path.read_text(encoding="utf-8"))
        check_format_version(path, content["format_version"], FORMAT_VERSION)
        return Champion.from_json(content)
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(
            f"{path}: not readable ({error}); "
            "restore it from a copy, or remove it and promote a model again"
        ) from error


@contextmanager
def champion_lock(models: Path) -> Iterator[None]:
    """Hold the lock of champion.json, from reading the champion to changing it."""
    with lock(models / f".{CHAMPION}.lock", wait=CHANGE_SECONDS):
        yield


def promote(models: Path, promotion: Promotion) -> None:
    """Make a model the champion and add it to the history.

    The caller holds the `champion_lock`.
    """
    load_bundle(models, promotion.model_id)
    champion = read_champion(models)
    earlier = champion.history if champion else ()
    promoted = Champion(promotion.model_id, (*earlier, promotion))
    write_json(models / CHAMPION, promoted.to_json())


def champion_id(models: Path) -> str:
    """Return the id of the current champion; '' if no model was ever promoted."""
    champion = read_champion(models)
    return champion.current if champion else ""


def previous_model(models: Path) -> str:
    """Return the champion before the current one. Raises WorkspaceError if there was none."""
    champion = read_champion(models)
    previous = champion.previous() if champion else None
    if previous is None:
        raise WorkspaceError(f"{models / CHAMPION}: there is no earlier model to go back to")
    return previous
