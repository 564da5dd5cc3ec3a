"""Runs of the schedule, as the scheduler and the deployments do them."""

from __future__ import annotations

from datetime import date

from bench import DAY, Bench

from flows.catch_up import score_due
from flows.job_file import read_job
from flows.nights import NightsResult
from flows.plain_runs import PlainRuns
from storage.models import CHAMPION, read_champion

TONIGHT = date.fromisoformat(DAY)


def promoted_on(bench: Bench, day: str) -> None:
    """As if the first model had been promoted on a day."""
    path = bench.workspace / "models/small" / CHAMPION
    path.write_text(path.read_text().replace(read_champion(path.parent).history[0].since, f"{day}T10:00:00+00:00"))


def run(bench: Bench, *settings: str, day: date = TONIGHT) -> NightsResult:
    """What a run of the schedule for a data date does."""
    common = {"job": str(bench.job), "overrides": list(settings), "require_gpu": False, "source": "", "force": False}
    return score_due(read_job(bench.job, settings), day, lambda night: PlainRuns().score(**common, date=night.date, model=night.model))
