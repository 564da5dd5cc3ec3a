"""prune: what is older than [retention] says, by kind. A dry run unless told otherwise.

Never deleted: reports; the model in force, the one before it, those in force within the catch-up
window, and every model that the newest report of a date was made by; scores within the catch-up
window; work whose lock is held.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from flows.engine.disk_space import bytes_below
from flows.jobs.job_file import read_job
from flows.jobs.settings import Job
from flows.jobs.workspace import Workspace, open_workspace
from flows.results import CommandResult
from storage.errors import LockedError, WorkspaceError
from storage.files.locks import lock
from storage.models import list_models, previous_model, read_champion
from storage.nights.revisions import newest_nights
from storage.units import format_bytes


@dataclass(frozen=True)
class Old:
    """A folder that may go: its kind, and its size in bytes."""

    kind: str
    path: Path
    size: int


def prune(job_path: Path, *, yes: bool, today: date | None = None) -> CommandResult:
    """Say what may go, and with `yes` delete it."""
    job = read_job(job_path)
    workspace = open_workspace(job)
    found = [
        Old(kind, path, bytes_below(path))
        for kind, path in old_folders(job, workspace, today or datetime.now(UTC).date())
    ]
    for old in found if yes else []:
        delete(workspace, old.path)
    total = sum(old.size for old in found)
    facts = {
        "path": str(workspace.root),
        "deleted": yes,
        "bytes": total,
        "folders": [{"kind": o.kind, "path": str(o.path), "bytes": o.size} for o in found],
    }
    lines = [
        f"  {old.kind:<10} {format_bytes(old.size):>8}  {old.path.relative_to(workspace.root)}"
        for old in found
    ]
    last = (
        f"{format_bytes(total)} deleted"
        if yes
        else f"{format_bytes(total)} would be deleted; add --yes to do it"
    )
    return CommandResult(
        facts, "\n".join([*lines, last]) if found else "nothing is older than [retention] says"
    )


def old_folders(job: Job, workspace: Workspace, today: date) -> Iterator[tuple[str, Path]]:
    """Kind and folder of everything that may go."""
    keep, root = job.retention, workspace.root
    window = today - timedelta(days=job.schedule.max_catch_up_days + 1)
    for kind, days in (("scores", keep.scores), ("superseded", keep.superseded)):
        if days:
            cut = min(today - timedelta(days=days), window)
            yield from (
                (kind, path)
                for path in sorted((root / kind / job.name).glob("date=*"))
                if date.fromisoformat(path.name[5:]) < cut
            )
    if keep.latents:
        yield from (
            ("latents", path)
            for path in aged(workspace.latents.glob("*/manifest.json"), today, keep.latents)
        )
    if keep.models:
        wanted = models_needed(job, workspace, window, today)
        models = (
            workspace.models / name / "manifest.json"
            for name in list_models(workspace.models)
            if name not in wanted
        )
        yield from (("models", path) for path in aged(models, today, keep.models))
    if keep.work:
        yield from (
            ("work", path)
            for path in work_of(job, root)
            if age(path, today) > keep.work and not locked(path)
        )


def work_of(job: Job, root: Path) -> Iterator[Path]:
    """The folders in which results of a job grow, or are deleted.

    Not those of another job whose name begins with the same words.
    """
    others = tuple(f"{path.name}-" for path in (root / "models").glob(f"{job.name}-*"))
    return (
        path
        for path in sorted((root / ".work").glob(f"{job.name}-*"))
        if path.is_dir() and not path.name.startswith(others)
    )


def aged(files: Iterator[Path], today: date, days: int) -> Iterator[Path]:
    """The folders of files that have not changed for more than some days."""
    return (file.parent for file in sorted(files) if age(file, today) > days)


def age(path: Path, today: date) -> int:
    """Days since a file or folder was changed."""
    return (today - datetime.fromtimestamp(path.stat().st_mtime, UTC).date()).days


def locked(work: Path) -> bool:
    """Whether a process is at work on this folder."""
    try:
        with lock(work.with_name(f"{work.name}.lock")):
            return False
    except LockedError:
        return True


def models_needed(job: Job, workspace: Workspace, window: date, today: date) -> set[str]:
    """Ids of the models that must stay."""
    judged = {night.model_id for night in newest_nights(workspace.root, job.name)}
    champion = read_champion(workspace.models)
    if champion is None:
        return judged
    in_window = {
        champion.as_of(window + timedelta(days=day), job.zone)
        for day in range((today - window).days + 1)
    }
    try:
        before = {previous_model(workspace.models)}
    except WorkspaceError:
        before = set()
    return judged | in_window | before | {champion.current}


def delete(workspace: Workspace, folder: Path) -> None:
    """Take a folder out of sight in one step, then delete its files.

    What is left of it is old work. Raises WorkspaceError where the system refuses.
    """
    grave = workspace.work("-".join(("deleted", *folder.relative_to(workspace.root).parts)))
    try:
        if grave.exists():
            shutil.rmtree(grave)
        folder.rename(grave)
        shutil.rmtree(grave)
    except OSError as error:
        raise WorkspaceError(
            f"{folder}: could not be deleted ({error}); mend the permissions, then run 'prune' again"
        ) from error
