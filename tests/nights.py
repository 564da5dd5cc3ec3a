"""Runs of the schedule, as the scheduler and the deployments do them."""

from __future__ import annotations

from datetime import date

from bench import DAY, Bench

from flows.jobs.job_file import read_job
from flows.jobs.requests import ScoreRequest
from flows.orchestration.local import LocalBackend
from flows.scoring.catch_up import score_due
from flows.scoring.result import NightsResult
from storage.models import CHAMPION, read_champion

TONIGHT = date.fromisoformat(DAY)


def promoted_on(bench: Bench, day: str) -> None:
    """As if the first model had been promoted on a day."""
    path = bench.workspace / "models/small" / CHAMPION
    path.write_text(
        path.read_text().replace(
            read_champion(path.parent).history[0].since, f"{day}T10:00:00+00:00"
        )
    )


def run(bench: Bench, *settings: str, day: date = TONIGHT) -> NightsResult:
    """What a run of the schedule for a data date does."""
    return score_due(
        read_job(bench.job, settings),
        day,
        lambda night: LocalBackend().score(
            ScoreRequest(job=str(bench.job), date=night.date, model=night.model, overrides=settings)
        ),
    )
