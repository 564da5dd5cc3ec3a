"""score for one data date or a range of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flows.errors import EXPECTED, UsageError
from flows.jobs.dates import dates_between, parse_date, yesterday
from flows.jobs.job_file import read_job
from flows.jobs.requests import ScoreRequest
from flows.orchestration.backends import pick_backend
from flows.scoring.result import NightResult, NightsResult


def score_nights(
    request: ScoreRequest, *, since: str, to: str, prefect: bool | None
) -> NightsResult:
    """Score the request's date (yesterday where it is '') or all from `since` to `to`, oldest first.

    One date raises its error; in a range the other dates go on.
    """
    settings = read_job(Path(request.job), request.overrides)
    if bool(since) != bool(to) or (since and request.date):
        raise UsageError("give --date, or both --from and --to")
    backend = pick_backend(prefect)
    if not since:
        day = request.date or yesterday(settings).isoformat()
        return NightsResult({day: backend.score(replace(request, date=day))})
    results: dict[str, NightResult | Exception] = {}
    for each in dates_between(parse_date(since), parse_date(to)):
        day = each.isoformat()
        try:
            results[day] = backend.score(replace(request, date=day))
        except EXPECTED as error:
            results[day] = error
    return NightsResult(results)
