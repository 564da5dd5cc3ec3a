"""Scores and reported rows of nights in a SQL database: written once, made good by later runs."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from flows.errors import describe, unexpected
from flows.jobs.dates import parse_date
from flows.jobs.settings import Job
from flows.jobs.workspace import Workspace, find_workspace
from storage.databases.connect import connect
from storage.databases.database import Database
from storage.errors import DatabaseError, LockedError, StorageError
from storage.files.locks import lock
from storage.nights.published import Published, note_published, read_published
from storage.nights.revisions import NightPlace
from storage.nights.table_rows import outlier_rows, score_rows, scored_revision

log = logging.getLogger(__name__)
ROWS = {"scores": score_rows, "outliers": outlier_rows}
NOT_TRIED = "no run has written it so far"


def publish_missing(job: Job, *, also: str = "") -> None:
    """Write the nights that are not in the database yet, oldest first.

    also: a night of any age. What fails is noted, for `status` and the next run: it never fails a
    night. If the database is away, no other night is tried.
    """
    for place, _ in unpublished_nights(job, also=also):
        error = _publish(job, place)
        if error:
            log.warning("%s: not written to the database: %s", place.date, describe(error))
        if isinstance(error, DatabaseError) and error.passing:
            return


def unpublished_nights(job: Job, *, also: str = "") -> Iterator[tuple[NightPlace, str]]:
    """Yield the nights whose newest scores are not in the database, oldest first, and why.

    Nights of which no run has tried to write anything count back to `schedule.max_catch_up_days`
    before the newest night.
    """
    if not job.publish.tables:
        return
    workspace = find_workspace(job)
    dates = sorted(_scored_dates(workspace))
    newest = parse_date(dates[-1]) if dates else date.max
    first = newest - timedelta(days=job.schedule.max_catch_up_days)
    for each in dates:
        place = NightPlace(workspace.root, job.name, each)
        is_recent = parse_date(each) >= first or each == also
        if why := _why_missing(job, place, is_recent=is_recent):
            yield place, why


def _why_missing(job: Job, place: NightPlace, *, is_recent: bool) -> str:
    """Say why a night is not in the database; '' if it is, or need not be."""
    try:
        found, wanted = read_published(place), _published(job, place)
    except (StorageError, OSError, ValueError, TypeError) as error:  # hides no other night
        return str(error)
    if found is None:
        return NOT_TRIED if is_recent else ""
    return "" if found == wanted else found.error or f"it has revision {found.revision}"


def _scored_dates(workspace: Workspace) -> list[str]:
    folders: Iterator[Path] = (workspace.root / "scores" / workspace.job).glob("date=????-??-??")
    return [folder.name.removeprefix("date=") for folder in folders]


def _published(job: Job, place: NightPlace, error: str = "") -> Published:
    return Published(
        scored_revision(place), job.publish.connection, dict(job.publish.tables), error
    )


def _publish(job: Job, place: NightPlace) -> Exception | None:
    """Write one night, unless a run is scoring it; return the error, of any kind, if it fails."""
    try:
        with lock(find_workspace(job).lock(f"score-{place.date}")):
            return _write(job, place)
    except LockedError:  # that run writes it
        return None
    except StorageError as error:  # not noted
        return error


def _write(job: Job, place: NightPlace) -> Exception | None:
    try:
        wanted = _published(job, place)
        write_night(job, place)
    except Exception as error:  # a database never spoils a night
        log.info("%s", error, exc_info=unexpected(error))
        return _noted(job, place, error)
    note_published(place, wanted)
    return None


def _noted(job: Job, place: NightPlace, error: Exception) -> Exception:
    """Note a failed attempt, unless the night is damaged or the disk is full."""
    with contextlib.suppress(StorageError):
        note_published(place, _published(job, place, describe(error)))
    return error


def write_night(job: Job, place: NightPlace) -> None:
    """Replace the rows of a night in all tables, in one transaction. Raises DatabaseError."""
    variable = job.publish.connection
    database = Database(variable, os.environ.get(variable, ""), job.folder)
    nights = [ROWS[what](place, table) for what, table in job.publish.tables.items()]
    with connect(database, write=True) as session:
        session.replace_nights(nights, job=job.name, day=parse_date(place.date))
