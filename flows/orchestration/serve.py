"""serve: a scheduler for one machine, in one process.

With a Prefect server its runs are recorded there; without one it needs nothing.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flows.errors import EXPECTED
from flows.jobs.dates import last_start, next_start, yesterday
from flows.jobs.job_file import read_job
from flows.jobs.requests import ScoreRequest
from flows.jobs.settings import Job
from flows.orchestration.backends import require_server, wants_prefect
from flows.scoring.alerts import send_alert
from flows.scoring.catch_up import DueNight, score_due
from flows.scoring.result import NightResult

log = logging.getLogger(__name__)
LOOK_AGAIN = timedelta(minutes=30)  # for nights without data, in part, or whose input came late


def serve(paths: Sequence[Path], *, prefect: bool | None) -> None:
    """Run the nights of all job files when they are due, until stopped.

    Raises UsageError at once where a job file is wrong.
    """
    for path in paths:
        job = read_job(path)
        say(f"{job.name}: next run {next_start(job, datetime.now(UTC)):%Y-%m-%d %H:%M %Z}")
    if url := wants_prefect(prefect):
        require_server(url)
        serve_deployments(paths)
        return
    while True:
        jobs = [found for path in paths if (found := look(path))]
        time.sleep(seconds_to_next(jobs, datetime.now(UTC)))


def look(path: Path) -> Job | None:
    """Score what is due of one job, send the message; what goes wrong is said, and looked at again next time.

    Returns the job, None where its file cannot be read.
    """
    job = None
    try:
        job = read_job(path)
        nights = score_due(
            job,
            yesterday(job, last_start(job, datetime.now(UTC))),
            lambda night: score_night(path, night),
        )
        if any(
            not isinstance(each, NightResult) or each.written for each in nights.results.values()
        ):
            say(nights.to_text())
        send_alert(job, nights)
    except EXPECTED as error:
        say(f"{path}: {error}")
    return job


def score_night(path: Path, night: DueNight) -> NightResult:
    """One night in this process."""
    from flows.orchestration.local import LocalBackend  # late: torch takes time to import

    return LocalBackend().score(ScoreRequest(job=str(path), date=night.date, model=night.model))


def seconds_to_next(jobs: Sequence[Job], now: datetime) -> float:
    """Seconds until the next job is due, or until the next look."""
    return (
        min([now + LOOK_AGAIN, *(next_start(job, now).astimezone(UTC) for job in jobs)]) - now
    ).total_seconds()


def serve_deployments(paths: Sequence[Path]) -> None:
    """The same by Prefect's own runner: a deployment for each job, runs in processes of their own."""
    from prefect import serve as serve_flows
    from prefect.schedules import Cron

    from flows.orchestration.deployed import nightly

    deployments = []
    for path in paths:
        job = read_job(path)
        crons = (("night", job.schedule.cron), ("look-again", "*/30 * * * *"))
        zone = job.zone.key
        schedules = [Cron(cron, timezone=zone, slug=slug) for slug, cron in crons]
        form = {"form": {"job": str(path.resolve())}}
        deployments.append(
            nightly.to_deployment(
                job.name,
                schedules=schedules,
                parameters=form,
                tags=["nightglass"],
                concurrency_limit=1,
            )
        )
    serve_flows(*deployments)  # type: ignore[arg-type] # outside of an event loop they are no coroutines


def say(words: str) -> None:
    """A line for the journal of whoever runs this."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()
