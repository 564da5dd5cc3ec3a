"""Scheduled runs, as made by the scheduler and by the deployments."""

from __future__ import annotations

from datetime import date

from bench import DAY, Bench

from flows.jobs.job_file import read_job
from flows.jobs.requests import ScoreRequest
from flows.orchestration.local import LocalBackend
from flows.scoring.catch_up import DueNight, score_due
from flows.scoring.result import NightResult, NightsResult
from storage.models import CHAMPION, read_champion

TONIGHT = date.fromisoformat(DAY)


def promoted_on(bench: Bench, day: str) -> None:
    """Pretend that the first model was promoted on `day`."""
    path = bench.workspace / "models/small" / CHAMPION
    since = read_champion(path.parent).history[0].since
    path.write_text(path.read_text().replace(since, f"{day}T10:00:00+00:00"))


def run(bench: Bench, *settings: str, day: date = TONIGHT) -> NightsResult:
    """Score what is due for a data date, as a scheduled run does."""

    def score(night: DueNight) -> NightResult:
        request = ScoreRequest(
            job=str(bench.job), date=night.date, model=night.model, overrides=settings
        )
        return LocalBackend().score(request)

    return score_due(read_job(bench.job, settings), day, score)
