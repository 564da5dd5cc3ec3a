"""Scores and reported rows of nights in Delta tables."""

from __future__ import annotations

from collections.abc import Mapping

from flows.jobs.dates import parse_date
from flows.jobs.settings import Job
from flows.publishing.database import ROWS
from flows.publishing.place import ScoredNights, endpoint_of
from storage.databases.delta import replace_in_delta
from storage.nights.revisions import NightPlace


class NightDeltaTables(ScoredNights):
    """The Delta tables of `[publish]`."""

    name = "delta"
    shown = "the Delta tables"

    def __init__(self, job: Job) -> None:
        self._job = job
        self.target: Mapping[str, str] = {**job.publish.delta_tables, **endpoint_of(job)}

    def write(self, night: NightPlace) -> None:
        """Replace the rows of a night in each table, in one commit each. Raises BucketError."""
        for what, table in self._job.publish.delta_tables.items():
            rows, day = ROWS[what](night, table), parse_date(night.date)
            replace_in_delta(self._job.path(table), rows, job=self._job.name, day=day)
