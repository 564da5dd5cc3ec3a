"""prune: delete what is older than [retention] allows; a dry run by default.

Never deleted:

- reports;
- the champion, the previous champion, champions within the catch-up window, and the model of the
  newest report of each date;
- scores within the catch-up window;
- work folders whose lock is held.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
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
class OldFolder:
    """A folder that may be deleted, with its size in bytes."""

    kind: str
    path: Path
    size: int

    def to_json(self) -> dict[str, object]:
        """Return the JSON object for --json."""
        return {"kind": self.kind, "path": str(self.path), "bytes": self.size}

    def to_text(self, root: Path) -> str:
        """Return one line for a terminal, with the path relative to `root`."""
        return f"  {self.kind:<10} {format_bytes(self.size):>8}  {self.path.relative_to(root)}"


def prune(job_path: Path, *, yes: bool, today: date | None = None) -> CommandResult:
    """List the folders that may be deleted; delete them if `yes`."""
    job = read_job(job_path)
    workspace = open_workspace(job)
    found = list(_old_folders(job, workspace, today or datetime.now(UTC).date()))
    if yes:
        for old in found:
            _delete(workspace, old.path)
    report = {
        "path": str(workspace.root),
        "deleted": yes,
        "bytes": sum(old.size for old in found),
        "folders": [old.to_json() for old in found],
    }
    return CommandResult(report, _to_text(found, workspace.root, yes=yes))


def _to_text(found: Sequence[OldFolder], root: Path, *, yes: bool) -> str:
    if not found:
        return "nothing to prune: nothing is older than [retention] allows"
    total = format_bytes(sum(old.size for old in found))
    last = f"{total} deleted" if yes else f"{total} would be deleted; rerun with --yes to delete"
    return "\n".join([*(old.to_text(root) for old in found), last])


def _old_folders(job: Job, workspace: Workspace, today: date) -> Iterator[OldFolder]:
    """Find everything that may be deleted; a retention of 0 days keeps a kind forever."""
    keep = job.retention
    window = today - timedelta(days=job.schedule.max_catch_up_days + 1)
    folders = {
        "scores": _old_dates(job, workspace, "scores", _cutoff(today, keep.scores, window)),
        "superseded": _old_dates(
            job, workspace, "superseded", _cutoff(today, keep.superseded, window)
        ),
        "latents": _aged(workspace.latents.glob("*/manifest.json"), today, keep.latents),
        "models": _aged(_unused_models(job, workspace, window, today), today, keep.models),
        "work": _old_work(job, workspace.root, today, keep.work),
    }
    days = vars(keep)
    for kind, paths in folders.items():
        if days[kind]:
            yield from (OldFolder(kind, path, bytes_below(path)) for path in paths)


def _cutoff(today: date, days: int, window: date) -> date:
    """The date before which a night's scores may be deleted."""
    return min(today - timedelta(days=days), window)


def _old_dates(job: Job, workspace: Workspace, kind: str, cutoff: date) -> Iterator[Path]:
    """Find folders `date=...` before the cutoff."""
    for path in sorted((workspace.root / kind / job.name).glob("date=*")):
        if date.fromisoformat(path.name.removeprefix("date=")) < cutoff:
            yield path


def _aged(files: Iterable[Path], today: date, days: int) -> Iterator[Path]:
    """Find the folders of files that have not changed for more than `days` days."""
    for file in sorted(files):
        if _age(file, today) > days:
            yield file.parent


def _old_work(job: Job, root: Path, today: date, days: int) -> Iterator[Path]:
    """Find the job's work folders older than `days` days that no process has locked."""
    for path in _work_folders(job, root):
        if _age(path, today) > days and not _locked(path):
            yield path


def _work_folders(job: Job, root: Path) -> Iterator[Path]:
    """Find the job's work folders, not those of another job whose name starts with this one's."""
    others = tuple(f"{path.name}-" for path in (root / "models").glob(f"{job.name}-*"))
    for path in sorted((root / ".work").glob(f"{job.name}-*")):
        if path.is_dir() and not path.name.startswith(others):
            yield path


def _age(path: Path, today: date) -> int:
    """Days since a file or folder was modified."""
    return (today - datetime.fromtimestamp(path.stat().st_mtime, UTC).date()).days


def _locked(work: Path) -> bool:
    """Whether a process holds the lock of a work folder."""
    try:
        with lock(work.with_name(f"{work.name}.lock")):
            return False
    except LockedError:
        return True


def _unused_models(job: Job, workspace: Workspace, window: date, today: date) -> Iterator[Path]:
    """Find the manifests of models that are not needed."""
    needed = _needed_models(job, workspace, window, today)
    for name in list_models(workspace.models):
        if name not in needed:
            yield workspace.models / name / "manifest.json"


def _needed_models(job: Job, workspace: Workspace, window: date, today: date) -> set[str]:
    """Return the ids of the models that must be kept."""
    reported = {night.model_id for night in newest_nights(workspace.root, job.name)}
    champion = read_champion(workspace.models)
    if champion is None:
        return reported
    days = range((today - window).days + 1)
    in_window = {champion.as_of(window + timedelta(days=day), job.zone) for day in days}
    return reported | in_window | _previous_champion(workspace.models) | {champion.current}


def _previous_champion(models: Path) -> set[str]:
    try:
        return {previous_model(models)}
    except WorkspaceError:
        return set()


def _delete(workspace: Workspace, folder: Path) -> None:
    """Rename a folder into the work folder, then delete its files.

    If this is interrupted, the next `prune` deletes the rest as old work.
    Raises WorkspaceError if the file system refuses.
    """
    trash = workspace.work("-".join(("deleted", *folder.relative_to(workspace.root).parts)))
    try:
        if trash.exists():
            shutil.rmtree(trash)
        folder.rename(trash)
        shutil.rmtree(trash)
    except OSError as error:
        raise WorkspaceError(
            f"{folder}: could not be deleted ({error}); fix permissions, then rerun 'prune'"
        ) from error
