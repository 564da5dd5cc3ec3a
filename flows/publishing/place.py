"""What every place outside the workspace offers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from flows.jobs.settings import Job
from flows.jobs.workspace import Workspace
from storage.nights.revisions import NightPlace
from storage.nights.table_rows import scored_revision


class Place(Protocol):
    """Where nights are copied to.

    name: in file names. shown: in messages. target: what the job file says of it.
    """

    name: str
    shown: str
    target: Mapping[str, str]

    def dates(self, workspace: Workspace) -> Iterator[str]:
        """Yield the dates of all nights that belong there."""
        ...

    def revision(self, night: NightPlace) -> int:
        """Return the revision that belongs there."""
        ...

    def write(self, night: NightPlace) -> None:
        """Write that revision. Safe to repeat. Raises StorageError."""
        ...


def endpoint_of(job: Job) -> Mapping[str, str]:
    """The endpoint as a part of a target, if the job file names one."""
    return {"endpoint": job.endpoint} if job.endpoint else {}


class ScoredNights:
    """Which nights belong into tables: those with scores, in the newest revision that has some."""

    def dates(self, workspace: Workspace) -> Iterator[str]:
        """Yield the dates that have scores."""
        for folder in (workspace.root / "scores" / workspace.job).glob("date=????-??-??"):
            yield folder.name.removeprefix("date=")

    def revision(self, night: NightPlace) -> int:
        """Return the newest revision with scores; 0 if there is none."""
        return scored_revision(night)
