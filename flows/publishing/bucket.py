"""Reports and scores of nights as objects of a bucket, laid out as in the workspace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flows.jobs.settings import Job
from flows.jobs.workspace import Workspace
from flows.publishing.place import endpoint_of
from storage.nights.copies import copy_night
from storage.nights.revisions import NightPlace
from storage.objects.paths import ObjectPath


class ReportBucket:
    """The bucket, or prefix, of `publish.bucket`."""

    name = "bucket"

    def __init__(self, job: Job) -> None:
        self._job = job
        self.shown = job.publish.bucket
        self.target: Mapping[str, str] = {"bucket": job.publish.bucket, **endpoint_of(job)}

    def dates(self, workspace: Workspace) -> Iterator[str]:
        """Yield the dates that have a report."""
        for folder in (workspace.root / "reports" / workspace.job).glob("????-??-??"):
            yield folder.name

    def revision(self, night: NightPlace) -> int:
        """Return the newest revision."""
        return night.newest()

    def write(self, night: NightPlace) -> None:
        """Copy report and scores of the newest revision, each manifest last. Raises BucketError."""
        prefix = self._job.path(self.shown)
        assert isinstance(prefix, ObjectPath), "PublishSettings requires it"
        copy_night(night, prefix)
