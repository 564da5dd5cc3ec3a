"""Which nights are due: the data date, and earlier nights that are missing, unfinished or outdated.

Does not read the clock: the caller gives the data date, the workspace shows what has been done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from flows.errors import describe, unexpected
from flows.jobs.date_paths import names_a_date
from flows.jobs.dates import parse_date
from flows.jobs.inputs import require_ready
from flows.jobs.queries import fetch_again
from flows.jobs.settings import Job
from flows.jobs.workspace import Workspace, find_workspace, open_workspace
from flows.publishing.nights import publish_missing
from flows.scoring.result import NightResult, NightsResult, read_result
from storage.errors import SourceError, StorageError
from storage.files.locks import CHANGE_SECONDS, is_locked, lock
from storage.models import read_champion
from storage.nights.revisions import NIGHT, NightPlace, is_ready, publish_revision
from storage.sources import files_digest, find_files

log = logging.getLogger(__name__)
AS_OF = "as-of"  # the champion on the data date
CURRENT = ""  # the current champion


@dataclass(frozen=True)
class DueNight:
    """A data date to be scored and the reason; `model` is CURRENT, AS_OF or a model id."""

    date: str
    model: str
    why: str


def due_nights(job: Job, data_date: date) -> list[DueNight]:
    """List the nights to score in a run for `data_date`, oldest first.

    Goes back `schedule.max_catch_up_days`, but not before the first promotion.
    """
    workspace = find_workspace(job)
    due = {night.date: night for night in _interrupted(workspace)}
    for day in _days_to_check(job, data_date):
        place = NightPlace(workspace.root, job.name, day.isoformat())
        if night := _due_or_broken(job, place, tonight=day == data_date):
            due.setdefault(night.date, night)
    return [due[each] for each in sorted(due)]


def _interrupted(workspace: Workspace) -> list[DueNight]:
    """Return the nights of any date whose publication was interrupted."""
    prefix = f"{workspace.job}-score-"
    folders = workspace.root.glob(f".work/{prefix}????-??-??")
    dates = [folder.name.removeprefix(prefix) for folder in folders if is_ready(folder / NIGHT)]
    why = "its publication was interrupted"
    return [
        DueNight(each, CURRENT, why)
        for each in sorted(dates)
        if not is_locked(workspace.lock(f"score-{each}"))
    ]


def finish_publications(job: Job) -> dict[str, NightResult | Exception]:
    """Publish what earlier runs finished and were killed before publishing; results by date."""
    results: dict[str, NightResult | Exception] = {}
    for night in _interrupted(find_workspace(job)):
        log.info("%s: %s", night.date, night.why)
        try:
            results[night.date] = _finish_publication(job, night.date)
        except Exception as error:
            why = describe(error)
            log.exception("%s: %s", night.date, why, exc_info=unexpected(error))
            results[night.date] = error
    return results


def _finish_publication(job: Job, date: str) -> NightResult:
    workspace = open_workspace(job)
    place = NightPlace(workspace.root, job.name, date)
    with lock(workspace.lock(f"score-{date}"), wait=CHANGE_SECONDS):
        published = publish_revision(place, workspace.work(f"score-{date}") / NIGHT)
    # None: another process has published it meanwhile
    return read_result(place, published or place.newest(), written=published is not None)


def _due_or_broken(job: Job, place: NightPlace, *, tonight: bool) -> DueNight | None:
    """Return the night if it is due; one whose results cannot be read is due, and hides no other.

    Scoring it raises the same error, which becomes its result.
    """
    try:
        return _due(job, place, tonight=tonight)
    except Exception as error:  # noqa: BLE001 (one broken night never stops the others)
        why = f"cannot tell what is left to do ({describe(error)})"
        return DueNight(place.date, CURRENT if tonight else AS_OF, why)


def _days_to_check(job: Job, data_date: date) -> list[date]:
    back = range(job.schedule.max_catch_up_days, -1, -1)
    days = [data_date - timedelta(days=each) for each in back]
    first = _first_promotion(job)
    return [day for day in days if day == data_date or (first is not None and day >= first)]


def _first_promotion(job: Job) -> date | None:
    champion = read_champion(find_workspace(job).models)
    if champion is None:
        return None
    return datetime.fromisoformat(champion.history[0].since).astimezone(job.zone).date()


def forgotten_ranges(job: Job, data_date: date) -> list[tuple[date, date]]:
    """List nights that have input but no scores, and are too old for a run to backfill them.

    As ranges (first, last) of consecutive data dates, oldest first, since the first promotion.
    """
    ranges: list[tuple[date, date]] = []
    for day in _days_before_window(job, data_date):
        if not _is_forgotten(job, day):
            continue
        if ranges and day - ranges[-1][1] == timedelta(days=1):
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    return ranges


def _days_before_window(job: Job, data_date: date) -> list[date]:
    first = _first_promotion(job)
    if first is None or not names_a_date(job.data.incoming):
        return []
    count = (data_date - first).days - job.schedule.max_catch_up_days
    return [first + timedelta(days=each) for each in range(count)]


def fetch_late_rows(job: Job, data_date: date) -> None:
    """Run the queries of earlier nights that are done again, once for each data date.

    Nights without data are asked for in every run. If the database refuses, the nights stay as
    they are until the next run.
    """
    if "incoming" not in job.data.queries:
        return
    for day in _days_to_check(job, data_date):
        try:
            if day < data_date and _is_done(job, day):
                fetch_again(job, day, asked=data_date)
        except StorageError as error:
            log.warning("late data is not looked for: %s", error)
            return


def _is_done(job: Job, day: date) -> bool:
    """Return whether a night is complete or has no data; any other is due anyway."""
    place = NightPlace(find_workspace(job).root, job.name, day.isoformat())
    newest = place.newest()
    try:
        summary = place.summary(newest) if newest else None
    except (OSError, ValueError, KeyError):  # damaged, which makes the night due
        return False
    return summary is not None and (summary.complete or summary.verdict == "NO DATA")


def _is_forgotten(job: Job, day: date) -> bool:
    place = NightPlace(find_workspace(job).root, job.name, day.isoformat())
    return _is_unscored(place) and _has_input(job, day)


def _is_unscored(place: NightPlace) -> bool:
    newest = place.newest()
    try:
        return not newest or place.summary(newest).verdict == "NO DATA"
    except (OSError, ValueError, KeyError):  # damaged, which `verify` reports
        return False


def _due(job: Job, place: NightPlace, *, tonight: bool) -> DueNight | None:
    """Return the night if it must be scored; `tonight`: it is the run's data date."""
    newest = place.newest()
    if not newest:
        return DueNight(place.date, CURRENT if tonight else AS_OF, "not scored yet")
    summary = place.summary(newest)
    if not summary.complete:
        return _unfinished(job, place, tonight=tonight)
    if input_changed(job, place, newest):
        why = f"the input has changed since revision {newest}"
        return DueNight(place.date, summary.model_id, why)
    return None


def _unfinished(job: Job, place: NightPlace, *, tonight: bool) -> DueNight | None:
    """Return the night whose newest revision is PARTIAL, FAILED or NO DATA, if it is due."""
    newest = place.newest()
    summary = place.summary(newest)
    if summary.shards_total:
        why = f"revision {newest} is {summary.verdict}"
        return DueNight(place.date, summary.model_id, why)
    if summary.verdict == "FAILED":
        # The input did not fit the champion of its day; a fixed input or a newer model may fit.
        return DueNight(place.date, CURRENT, f"stopped before scoring: {summary.promise}")
    if tonight or _has_input(job, parse_date(place.date)):
        return DueNight(place.date, CURRENT if tonight else AS_OF, "no data so far")
    return None


def _has_input(job: Job, day: date) -> bool:
    try:
        require_ready(job, day)
    except SourceError:
        return False
    return True


def input_changed(job: Job, place: NightPlace, revision: int) -> bool:
    """Return whether a complete input differs from the files that a revision was scored from.

    Compares files by name, size and modification time. Of a query, the file is the snapshot of
    its result, which is replaced only if the result has changed.
    """
    day = parse_date(place.date)
    fingerprint = str(place.run(revision).get("fingerprint", ""))
    scored = fingerprint.rpartition(" ")[2]
    if not scored or not _has_input(job, day):
        return False
    return files_digest(find_files(job.incoming(day))) != scored


def score_due(job: Job, data_date: date, score: Callable[[DueNight], NightResult]) -> NightsResult:
    """Finish interrupted publications, then score the due nights, oldest first.

    If a night cannot be scored, whatever the error, it becomes the night's result and the next
    night is scored. If nothing is due, returns the newest revision of the data date.
    """
    results = finish_publications(job)
    fetch_late_rows(job, data_date)
    for night in due_nights(job, data_date):
        log.info("%s: %s", night.date, night.why)
        results[night.date] = score_or_error(score, night)
    publish_missing(job)
    if not results:
        place = NightPlace(find_workspace(job).root, job.name, data_date.isoformat())
        results[place.date] = read_result(place, place.newest(), written=False)
    return NightsResult(results)


def score_or_error(
    score: Callable[[DueNight], NightResult], night: DueNight
) -> NightResult | Exception:
    """Score one of several nights; an error of any kind is returned, and logged."""
    try:
        return score(night)
    except Exception as error:  # one broken night never stops the others
        why = describe(error)
        log.exception("%s: %s", night.date, why, exc_info=unexpected(error))
        return error
