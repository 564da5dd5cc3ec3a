"""Scores and reported rows of nights in tables of a SQL database."""

from __future__ import annotations

import os
from collections.abc import Mapping

from flows.jobs.dates import parse_date
from flows.jobs.settings import Job
from flows.publishing.place import ScoredNights
from storage.databases.connect import connect
from storage.databases.database import Database
from storage.nights.revisions import NightPlace
from storage.nights.table_rows import outlier_rows, score_rows

ROWS = {"scores": score_rows, "outliers": outlier_rows}


class NightTables(ScoredNights):
    """The tables of `[publish]`."""

    name = "database"
    shown = "the database"

    def __init__(self, job: Job) -> None:
        self._job = job
        self.target: Mapping[str, str] = {
            "connection": job.publish.connection,
            **job.publish.tables,
        }

    def write(self, night: NightPlace) -> None:
        """Replace the rows of a night in all tables, in one transaction. Raises DatabaseError."""
        job = self._job
        variable = job.publish.connection
        database = Database(variable, os.environ.get(variable, ""), job.folder)
        nights = [ROWS[what](night, table) for what, table in job.publish.tables.items()]
        with connect(database, write=True) as session:
            session.replace_nights(nights, job=job.name, day=parse_date(night.date))
