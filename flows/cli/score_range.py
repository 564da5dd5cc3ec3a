"""Score one data date, a range of dates, or the clean source itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flows.cli.slow_imports import slow_imports
from flows.errors import UsageError
from flows.jobs.dates import dates_between, parse_date, yesterday
from flows.jobs.job_file import read_job
from flows.jobs.requests import ScoreRequest
from flows.orchestration.backends import Backend, pick_backend
from flows.scoring.catch_up import DueNight, score_or_error
from flows.scoring.result import NightResult, NightsResult


def score_nights(
    request: ScoreRequest, *, since: str, to: str, prefect: bool | None
) -> NightsResult:
    """Score the date of the request (yesterday if empty), or all dates from `since` to `to`.

    A single date raises its error. In a range, an error does not stop the dates after it.
    """
    job = read_job(Path(request.job), request.overrides)
    if bool(since) != bool(to) or (since and request.date):
        raise UsageError("give --date, or both --from and --to")
    with slow_imports():
        backend = pick_backend(prefect)
    if since:
        days = dates_between(parse_date(since), parse_date(to))
        nights = [DueNight(day.isoformat(), request.model, "in the range") for day in days]
        return NightsResult({each.date: _score_one(backend, request, each) for each in nights})
    date = request.date or yesterday(job).isoformat()
    return NightsResult({date: backend.score(replace(request, date=date))})


def score_clean_rows(
    request: ScoreRequest, *, since: str, to: str, prefect: bool | None
) -> NightResult:
    """Score the clean source itself, in this process. Raises UsageError if a night is named."""
    if since or to or prefect:
        named = "--prefect" if prefect else "--from and --to"
        raise UsageError(f"--in-sample scores the rows of data.clean, locally; omit {named}")
    from flows.orchestration.local import LocalBackend  # late: loads torch

    return LocalBackend().score_in_sample(request)


def _score_one(backend: Backend, request: ScoreRequest, night: DueNight) -> NightResult | Exception:
    return score_or_error(lambda due: backend.score(replace(request, date=due.date)), night)
