"""Which nights are due: the data date itself, and earlier ones that are missing, unfinished, or whose input has changed since.

The clock plays no part: whoever calls says the data date, and what is on disk says the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from flows.errors import EXPECTED
from flows.jobs.dates import parse_date
from flows.jobs.inputs import require_ready
from flows.jobs.settings import Job
from flows.jobs.workspace import open_workspace
from flows.scoring.result import NightResult, NightsResult, result_of
from storage.errors import SourceError
from storage.models import read_champion
from storage.nights.revisions import NightPlace
from storage.sources import files_digest, find_files

log = logging.getLogger(__name__)
AS_OF = "as-of"  # the model in force on the data date
IN_FORCE = ""  # the model in force now


@dataclass(frozen=True)
class DueNight:
    """A data date to be scored: with which model ('' = in force now, 'as-of', or an id), and why."""

    date: str
    model: str
    why: str


def due_nights(job: Job, data_date: date) -> list[DueNight]:
    """The nights to be scored in a run for `data_date`, oldest first.

    Up to `max_catch_up_days` earlier ones, none before the first promotion.
    """
    workspace = open_workspace(job)
    champion = read_champion(workspace.models)
    days = [
        data_date - timedelta(days=back) for back in range(job.schedule.max_catch_up_days, -1, -1)
    ]
    if champion:
        began = datetime.fromisoformat(champion.history[0].since).astimezone(job.zone).date()
        days = [day for day in days if day >= began or day == data_date]
    found = (
        _due(
            job,
            NightPlace(workspace.root, job.name, day.isoformat()),
            day,
            tonight=day == data_date,
        )
        for day in days
    )
    return [night for night in found if night]


def _due(job: Job, place: NightPlace, day: date, *, tonight: bool) -> DueNight | None:
    model = IN_FORCE if tonight else AS_OF
    newest = place.newest()
    if not newest:
        return DueNight(place.date, model, "not scored yet")
    summary = place.summary(newest)
    if not summary.complete:
        if summary.shards_total:
            return DueNight(
                place.date, summary.model_id, f"revision {newest} is {summary.verdict}"
            )
        if (
            summary.verdict == "FAILED"
        ):  # its input does not fit the model of its day: mended by now, or a newer model fits
            return DueNight(place.date, IN_FORCE, f"stopped before scoring: {summary.promise}")
        return (
            DueNight(place.date, model, "no data so far")
            if tonight or _is_there(job, day)
            else None
        )
    late = input_changed(job, place, newest)
    return (
        DueNight(place.date, summary.model_id, f"the input has changed since revision {newest}")
        if late
        else None
    )


def _is_there(job: Job, day: date) -> bool:
    try:
        require_ready(job, day)
    except SourceError:
        return False
    return True


def input_changed(job: Job, place: NightPlace, revision: int) -> bool:
    """Whether a complete input lies there whose files are others than those that a revision read, by name, size and time of change."""
    day = parse_date(place.date)
    *_, read = str(place.run(revision).get("fingerprint", "")).split(" ")
    return (
        bool(read) and _is_there(job, day) and files_digest(find_files(job.incoming(day))) != read
    )


def score_due(job: Job, data_date: date, score: Callable[[DueNight], NightResult]) -> NightsResult:
    """Score what is due, oldest first; a night that cannot be scored has its error as result, and the others go on.

    Where nothing is due, the result is the revision that stands.
    """
    results: dict[str, NightResult | Exception] = {}
    for night in due_nights(job, data_date):
        log.info("%s: %s", night.date, night.why)
        try:
            results[night.date] = score(night)
        except EXPECTED as error:
            log.error("%s: %s", night.date, error)  # noqa: TRY400 (an expected error needs no trace)
            results[night.date] = error
    if not results:
        place = NightPlace(open_workspace(job).root, job.name, data_date.isoformat())
        results[place.date] = result_of(place, place.newest(), written=False)
    return NightsResult(results)
