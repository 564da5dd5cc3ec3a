"""prune: delete what is older than [retention] allows; a dry run by default.

Never deleted:

- reports;
- the champion, the previous champion, champions within the catch-up window, and the model of the
  newest report of each date;
- scores and snapshots of queries within the catch-up window, and the snapshot of the clean rows;
- a finished night whose publication was interrupted;
- what another process is writing.

A folder is checked again, and deleted, under the lock of whoever writes it.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from flows.engine.disk_space import bytes_below
from flows.jobs.job_file import read_job
from flows.jobs.workspace import Workspace, find_workspace, open_workspace
from flows.operations.retention import Retention
from flows.results import CommandResult
from storage.errors import LockedError, WorkspaceError
from storage.sources.digests import sha256_text
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
    workspace = open_workspace(job) if yes else find_workspace(job)
    retention = Retention(job, workspace, today or datetime.now(UTC).date())
    found = [OldFolder(kind, path, bytes_below(path)) for kind, path in retention.old_folders()]
    deleted, in_use = _delete_all(retention, found) if yes else (found, [])
    pruned = Pruned(workspace.root, yes, deleted, in_use)
    return CommandResult(pruned.to_json(), pruned.to_text())


@dataclass(frozen=True)
class Pruned:
    """The folders that were deleted or, in a dry run, would be; and those found in use."""

    root: Path
    deleted: bool
    folders: Sequence[OldFolder]
    in_use: Sequence[OldFolder]

    def to_json(self) -> dict[str, object]:
        """Return the JSON object for --json."""
        return {
            "path": str(self.root),
            "deleted": self.deleted,
            "bytes": sum(old.size for old in self.folders),
            "folders": [old.to_json() for old in self.folders],
            "in_use": [old.to_json() for old in self.in_use],
        }

    def to_text(self) -> str:
        """Return the text for a terminal."""
        if not self.folders and not self.in_use:
            return "nothing to prune: nothing is older than [retention] allows"
        kept = [f"{old.to_text(self.root)}  kept: in use" for old in self.in_use]
        return "\n".join([*(old.to_text(self.root) for old in self.folders), *kept, self._total()])

    def _total(self) -> str:
        total = format_bytes(sum(old.size for old in self.folders))
        if self.deleted:
            return f"{total} deleted"
        return f"{total} would be deleted; rerun with --yes to delete"


def _delete_all(
    retention: Retention, found: Sequence[OldFolder]
) -> tuple[list[OldFolder], list[OldFolder]]:
    """Delete folders; return those deleted, and those that another process is using."""
    deleted, in_use = [], []
    for old in found:
        try:
            if _delete_if_old(retention, old):
                deleted.append(old)
        except LockedError:
            in_use.append(old)
    return deleted, in_use


def _delete_if_old(retention: Retention, old: OldFolder) -> bool:
    """Delete a folder under its lock, unless it is needed by now. Raises LockedError."""
    with retention.lock(old.kind, old.path):
        may_go = old.path.exists() and retention.rule(old.kind)(old.path)
        if may_go:
            _delete(retention.workspace, old.path)
    return may_go


def _delete(workspace: Workspace, folder: Path) -> None:
    """Rename a folder into the work folder, then delete its files.

    If this is interrupted, the next `prune` deletes the rest as old work.
    Raises WorkspaceError if the file system refuses.
    """
    trash = workspace.work(f"deleted-{sha256_text(str(folder))[:16]}")
    try:
        if trash.exists():
            shutil.rmtree(trash)
        folder.rename(trash)
        shutil.rmtree(trash)
    except OSError as error:
        raise WorkspaceError(
            f"{folder}: could not be deleted ({error}); fix permissions, then rerun 'prune'"
        ) from error
