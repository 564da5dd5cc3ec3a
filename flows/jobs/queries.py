"""The queries of a job file: their results are written to snapshots, which the commands read."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pyarrow as pa

from aemodel.errors import DataError
from flows.engine.run_all import retrying
from flows.errors import WorkFailed
from flows.jobs.settings import Job
from flows.jobs.workspace import open_workspace
from storage.databases.columns import storable_batch
from storage.databases.connect import connect
from storage.databases.database import Database
from storage.databases.query import Query
from storage.databases.snapshot import SnapshotRecord, note_snapshot, snapshot_at, write_snapshot
from storage.errors import DatabaseError, NoDataError, ReadError, SourceError
from storage.files.atomic import sha256_file
from storage.files.locks import lock
from storage.sources.digests import sha256_text

WAIT = float("inf")  # until another run has written the same snapshot


@dataclass(frozen=True)
class JobQuery:
    """A query of a job file: for the clean rows, or for those of a data date."""

    job: Job
    query: Query
    day: date | None

    def __str__(self) -> str:
        return f"query of {self.day or 'the clean rows'} ({self.query})"

    @property
    def path(self) -> Path:
        """The snapshot of the result."""
        return self.job.incoming(self.day) if self.day else self.job.clean

    @property
    def digest(self) -> str:
        """SHA-256 of all that the result depends on, apart from the data."""
        data = self.job.data
        return sha256_text(json.dumps([self.query.written, data.connection, data.id]))

    def write(self) -> SnapshotRecord:
        """Run the query and write its rows. Raises like `read_query`, and WorkspaceError."""
        data, folder = self.job.data, self.job.folder
        batches = read_query(
            self.query, variable=data.connection, folder=folder, day=self.day, id_column=data.id
        )
        return write_snapshot(self.path, batches, query=self.digest)


def read_query(
    query: Query, *, variable: str, folder: Path, day: date | None = None, id_column: str = ""
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a query, ordered by their ids if it has no order of its own.

    variable: the environment variable that holds the URI of the database, in which relative paths
    start at `folder`. Raises ReadError if a retry may succeed, else SourceError.
    """
    try:
        database = Database(variable, os.environ.get(variable, ""), folder)
        with (
            connect(database) as session,
            closing(session.read(query, day=day, order_by=id_column)) as batches,
        ):
            for batch in batches:
                yield storable_batch(batch, id_column=id_column)
    except DatabaseError as error:
        # not chained: the cause may hold a password
        raise (ReadError if error.passing else SourceError)(str(error)) from None


def find_query(job: Job, day: date | None) -> JobQuery | None:
    """Return the query for the clean rows (None) or a data date; None if it is no query."""
    query = job.data.queries.get("incoming" if day else "clean")
    return JobQuery(job, query, day) if query else None


def fetch_rows(job: Job, day: date | None) -> None:
    """Write the result of a query to its snapshot; do nothing for files.

    A snapshot that an interrupted run was reading is kept, so that this run resumes. Raises
    SourceError, and ReadError after the usual retries.
    """
    if query := find_query(job, day):
        with _locked(query):
            found = snapshot_at(query.path)
            if found is None or not _may_resume(query, found):
                asked = max(found.asked if found else "", str(day or ""))
                note_snapshot(query.path, replace(_run(query), asked=asked))


def fetch_again(job: Job, day: date, *, asked: date) -> None:
    """Run the query of an earlier night again, unless it has run for the data date `asked`.

    A changed result is the input of the next run of that night.
    """
    query = find_query(job, day)
    assert query is not None, "only queries are run again"
    with _locked(query):
        found = snapshot_at(query.path)
        if found and found.rows and (found.in_use or found.asked >= str(asked)):
            return
        new = _run(query)
        changed = found is None or found.sha256 != new.sha256
        note_snapshot(query.path, replace(new, asked=str(asked), in_use=changed))


def ensure_clean_rows(job: Job) -> None:
    """Write the result of the query for the clean rows unless a snapshot of it exists."""
    query = find_query(job, None)
    if query and snapshot_at(query.path) is None:
        fetch_rows(job, None)
        _release(query)


def _locked(query: JobQuery) -> AbstractContextManager[None]:
    return lock(open_workspace(query.job).lock(f"snapshot-{query.day or 'clean'}"), wait=WAIT)


def _may_resume(query: JobQuery, found: SnapshotRecord) -> bool:
    same = found.in_use and found.query == query.digest
    return same and sha256_file(query.path) == found.sha256


def _run(query: JobQuery) -> SnapshotRecord:
    """Run a query, with the usual retries, and write the rows."""
    try:
        return retrying(JobQuery.write, query)
    except SourceError as error:
        raise type(error)(f"{query}: {error}") from error


def require_rows(job: Job, day: date) -> None:
    """Raise NoDataError if the query of a night has not run yet, or found no rows."""
    query = find_query(job, day)
    found = snapshot_at(query.path) if query else None
    if query and not (found and found.rows):
        raise NoDataError(f"{query}: no rows; the night is rechecked")


@contextmanager
def run_of_query(job: Job, day: date | None) -> Iterator[None]:
    """Run with the rows of a query: errors name it, and the next run asks the database again.

    Only if this run is cut off, the next one resumes with the same rows.
    """
    query = find_query(job, day)
    try:
        yield
    except (SourceError, DataError, WorkFailed) as error:
        if query is None:
            raise
        _release(query)
        raise type(error)(name_queries(job, str(error))) from error
    if query:
        _release(query)


def _release(query: JobQuery) -> None:
    with _locked(query):
        found = snapshot_at(query.path)
        if found and found.in_use:
            note_snapshot(query.path, replace(found, in_use=False))


def name_queries(job: Job, message: str) -> str:
    """Name queries, and not their snapshots, in a message."""
    if clean := find_query(job, None):
        message = message.replace(str(clean.path), str(clean))
    if "incoming" in job.data.queries:
        nights = rf"{re.escape(str(job.snapshots))}/date=([0-9-]+)/[0-9-]+\.parquet"
        message = re.sub(nights, lambda night: _night_query(job, night[1]), message)
    return message


def _night_query(job: Job, day: str) -> str:
    return str(find_query(job, date.fromisoformat(day)))
