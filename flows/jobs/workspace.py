"""Where a job's results lie below its workspace folder."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from flows.jobs.settings import Job
from storage.errors import WorkspaceError


@dataclass(frozen=True)
class Workspace:
    """The folders of one job. `root` is the workspace folder, which several jobs may share."""

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
        """A folder in which a result grows before it is renamed into place."""
        return self.root / ".work" / f"{self.job}-{name}"

    def lock(self, name: str) -> Path:
        """The lock file of one result."""
        return self.root / ".work" / f"{self.job}-{name}.lock"


def open_workspace(job: Job) -> Workspace:
    """The job's workspace, made where it does not exist.

    Raises WorkspaceError where nothing can be written there.
    """
    root = job.path(job.workspace)
    try:
        (root / ".work").mkdir(parents=True, exist_ok=True)
        descriptor, probe = tempfile.mkstemp(dir=root / ".work")
        os.close(descriptor)
        Path(probe).unlink()
    except OSError as error:
        raise WorkspaceError(
            f"{root}: the workspace cannot be written ({error}); set 'workspace' in the job file to a folder of your own"
        ) from error
    return Workspace(root, job.name)


def near(path: Path) -> Path:
    """A path as a person at the terminal would write it.

    Relative where it lies below the current folder.
    """
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
