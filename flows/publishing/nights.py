"""Nights outside the workspace: in tables, SQL or Delta, or in a bucket; made good later."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from flows.errors import describe, unexpected
from flows.jobs.dates import parse_date
from flows.jobs.settings import Job
from flows.jobs.workspace import find_workspace
from flows.publishing.bucket import ReportBucket
from flows.publishing.database import NightTables
from flows.publishing.delta import NightDeltaTables
from flows.publishing.place import Place
from storage.errors import BucketError, DatabaseError, LockedError, StorageError
from storage.files.locks import lock
from storage.nights.published import Published, note_published, read_published
from storage.nights.revisions import NightPlace

log = logging.getLogger(__name__)
NOT_TRIED = "no run has written it so far"


@dataclass(frozen=True)
class Missing:
    """A night whose newest revision is not in one place, and why."""

    night: NightPlace
    place: Place
    why: str


def publish_missing(job: Job, *, also: str = "") -> None:
    """Write the nights that are missing in some place, oldest first.

    also: a night of any age. What fails is noted, for `status` and the next run: it never fails a
    night. If a place is away, no other night is written there.
    """
    for place in _places(job):
        for each in _missing_in(place, job, also=also):
            error = _publish(job, each)
            if error:
                log.warning(
                    "%s: not written to %s: %s", each.night.date, place.shown, describe(error)
                )
            if isinstance(error, DatabaseError | BucketError) and error.passing:
                break


def unpublished_nights(job: Job, *, also: str = "") -> Iterator[Missing]:
    """Yield the nights whose newest revision is missing in some place, oldest first.

    Nights of which no run has tried to write anything count back to `schedule.max_catch_up_days`
    before the newest night.
    """
    for place in _places(job):
        yield from _missing_in(place, job, also=also)


def _places(job: Job) -> list[Place]:
    places: list[Place] = []
    if job.publish.tables:
        places.append(NightTables(job))
    if job.publish.delta_tables:
        places.append(NightDeltaTables(job))
    if job.publish.bucket:
        places.append(ReportBucket(job))
    return places


def _missing_in(place: Place, job: Job, *, also: str) -> Iterator[Missing]:
    workspace = find_workspace(job)
    dates = sorted(place.dates(workspace))
    newest = parse_date(dates[-1]) if dates else date.max
    first = newest - timedelta(days=job.schedule.max_catch_up_days)
    for each in dates:
        night = NightPlace(workspace.root, job.name, each)
        is_recent = parse_date(each) >= first or each == also
        if why := _why_missing(place, night, is_recent=is_recent):
            yield Missing(night, place, why)


def _why_missing(place: Place, night: NightPlace, *, is_recent: bool) -> str:
    """Say why a night is not in a place; '' if it is, or need not be."""
    try:
        found, wanted = read_published(night, place.name), _published(place, night)
    except (StorageError, OSError, ValueError, TypeError) as error:  # hides no other night
        return str(error)
    if found is None:
        return NOT_TRIED if is_recent else ""
    return "" if found == wanted else found.error or f"it has revision {found.revision}"


def _published(place: Place, night: NightPlace, error: str = "") -> Published:
    return Published(place.revision(night), place.target, error)


def _publish(job: Job, missing: Missing) -> Exception | None:
    """Write one night, unless a run is scoring it; return the error, of any kind, if it fails."""
    try:
        with lock(find_workspace(job).lock(f"score-{missing.night.date}")):
            return _write(missing.place, missing.night)
    except LockedError:  # that run writes it
        return None
    except StorageError as error:  # not noted
        return error


def _write(place: Place, night: NightPlace) -> Exception | None:
    try:
        wanted = _published(place, night)
        place.write(night)
    except Exception as error:  # a place outside never spoils a night
        log.info("%s", error, exc_info=unexpected(error))
        return _noted(place, night, error)
    note_published(night, place.name, wanted)
    return None


def _noted(place: Place, night: NightPlace, error: Exception) -> Exception:
    """Note a failed attempt, unless the night is damaged or the disk is full."""
    with contextlib.suppress(StorageError):
        note_published(night, place.name, _published(place, night, describe(error)))
    return error
