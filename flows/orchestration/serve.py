"""serve: a single-process scheduler for one machine.

With a Prefect server, its runs are recorded there. Without one, it needs nothing else.
"""

from __future__ import annotations

import logging
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from flows.errors import describe, unexpected
from flows.jobs.dates import due_date, next_start
from flows.jobs.job_file import read_job
from flows.jobs.requests import ScoreRequest
from flows.jobs.settings import Job
from flows.orchestration.backends import require_server, scheduler_server
from flows.scoring.alerts import send_alert
from flows.scoring.catch_up import DueNight, score_due
from flows.scoring.result import NightResult, NightsResult
from storage.visible_text import visible_lines

if TYPE_CHECKING:  # importing Prefect takes seconds
    from prefect.deployments.runner import RunnerDeployment

log = logging.getLogger(__name__)
RECHECK = timedelta(minutes=30)  # for nights without data, partial nights, and changed inputs
RECHECK_CRON = "*/30 * * * *"


def serve(paths: Sequence[Path], *, prefect: bool | None) -> None:
    """Score the nights of all job files when they are due, until stopped.

    Raises UsageError immediately if a job file is invalid.
    """
    for job in map(read_job, paths):
        start = next_start(job, datetime.now(UTC))
        _print_line(f"{job.name}: next run {start:%Y-%m-%d %H:%M %Z}")
    url = scheduler_server(prefect)
    if url:
        require_server(url)
        _serve_deployments(paths)
        return
    while True:
        jobs = list(_check_all(paths))
        time.sleep(seconds_to_next(jobs, datetime.now(UTC)))


def _check_all(paths: Sequence[Path]) -> Iterator[Job]:
    """Score what is due, and yield the jobs whose file can be read."""
    for path in paths:
        job = _check(path)
        if job:
            yield job


def _check(path: Path) -> Job | None:
    """Score the nights of one job that are due, and send its alert.

    Errors of any kind are printed; the next check tries again. Returns None if the job file is
    invalid.
    """
    job = None
    try:
        job = read_job(path)
        day = due_date(job, datetime.now(UTC))
        nights = score_due(job, day, lambda night: _score_locally(path, night))
        if _is_new(nights):
            _print_line(_with_job(job, nights.to_text()))
        send_alert(job, nights)
    except Exception as error:  # one broken job never stops the others
        line = f"{path}: {describe(error)}"
        log.exception(line, exc_info=unexpected(error))
        _print_line(line)
    return job


def _with_job(job: Job, text: str) -> str:
    """Begin the line of each night with the job's name: several jobs share the journal."""
    return textwrap.indent(text, f"{job.name}: ", lambda line: not line.startswith(" "))


def _is_new(nights: NightsResult) -> bool:
    """Return whether any night failed or has a new revision."""
    results = nights.results.values()
    return any(not isinstance(result, NightResult) or result.written for result in results)


def _score_locally(path: Path, night: DueNight) -> NightResult:
    """Score one night in this process."""
    from flows.orchestration.local import LocalBackend  # late: torch is slow to import

    return LocalBackend().score(ScoreRequest(job=str(path), date=night.date, model=night.model))


def seconds_to_next(jobs: Sequence[Job], now: datetime) -> float:
    """Return the seconds until the next job is due, or until the next recheck if sooner."""
    starts = [next_start(job, now).astimezone(UTC) for job in jobs]
    return (min([now + RECHECK, *starts]) - now).total_seconds()


def _serve_deployments(paths: Sequence[Path]) -> None:
    """Serve one deployment per job with Prefect's runner, which starts a process per run."""
    from prefect import serve as serve_flows  # late: slow import

    deployments = [_deployment(path) for path in paths]
    serve_flows(*deployments)


def _deployment(path: Path) -> RunnerDeployment:
    """Return the nightly deployment of one job file, with its schedules."""
    from prefect.schedules import Cron  # late: slow import

    from flows.orchestration.deployed import nightly

    job = read_job(path)
    crons = {"night": job.schedule.cron, "recheck": RECHECK_CRON}
    zone = job.zone.key
    schedules = [Cron(cron, timezone=zone, slug=slug) for slug, cron in crons.items()]
    return nightly.to_deployment(  # type: ignore[return-value] # no coroutine outside an event loop
        job.name,
        schedules=schedules,
        parameters={"form": {"job": str(path.resolve())}},
        tags=["nightglass", job.name],
        concurrency_limit=1,
    )


def _print_line(text: str) -> None:
    """Print a line at once, for the journal."""
    sys.stdout.write(visible_lines(text) + "\n")
    sys.stdout.flush()
