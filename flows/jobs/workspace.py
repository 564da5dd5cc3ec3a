"""The layout of a job's results below its workspace folder."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from flows.jobs.settings import Job
from storage.errors import WorkspaceError


@dataclass(frozen=True)
class Workspace:
    """The folders of one job. root: the workspace folder, which several jobs may share."""

    root: Path
    job: str

    @property
    def models(self) -> Path:
        """Versions of the job's model, and champion.json."""
        return self.root / "models" / self.job

    @property
    def latents(self) -> Path:
        """The job's latent stores."""
        return self.root / "latents" / self.job

    def work(self, name: str) -> Path:
        """The folder in which a result is written before it is renamed into place."""
        return self.root / ".work" / f"{self.job}-{name}"

    def lock(self, name: str) -> Path:
        """The lock file of one result."""
        return self.root / ".work" / f"{self.job}-{name}.lock"


def find_workspace(job: Job) -> Workspace:
    """The job's workspace, to be read only: the folder may be missing or write-protected."""
    return Workspace(job.path(job.workspace), job.name)


def open_workspace(job: Job) -> Workspace:
    """The job's workspace, to be written into; the folder is created if missing.

    Raises WorkspaceError if it is not writable.
    """
    workspace = find_workspace(job)
    root = workspace.root
    try:
        (root / ".work").mkdir(parents=True, exist_ok=True)
        descriptor, probe = tempfile.mkstemp(dir=root / ".work")
        os.close(descriptor)
        Path(probe).unlink()
    except OSError as error:
        raise WorkspaceError(
            f"{root}: the workspace cannot be written ({error}); "
            "set 'workspace' in the job file to a folder of your own"
        ) from error
    return workspace


def near(path: Path) -> Path:
    """The path relative to the current folder if it lies below it, else unchanged."""
    current = Path.cwd()
    return path.relative_to(current) if path.is_relative_to(current) else path
