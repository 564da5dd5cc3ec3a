"""status: is the job alive, and what does it need?

For a person, and by its exit code for a monitor.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from flows.engine.disk_space import RESERVE, bytes_below
from flows.errors import DONE, FAILED
from flows.jobs.dates import last_start, next_start, yesterday
from flows.jobs.job_file import read_job
from flows.jobs.settings import Job
from flows.jobs.workspace import Workspace, open_workspace
from flows.operations.labels import precision
from flows.results import CommandResult
from flows.scoring.catch_up import due_nights
from flows.scoring.result import headline
from flows.training.champion import model_age
from storage.models import list_models, read_champion
from storage.nights.revisions import newest_nights
from storage.units import format_bytes

KINDS = ("models", "latents", "scores", "superseded", "reports")
LAST = ("date", "verdict", "revision", "rows", "flagged")


def status_of(path: Path, *, now: datetime | None = None) -> CommandResult:
    """Last good night, the model's age, the next run, space, open problems.

    The exit code is 1 where there are any.
    """
    job, now = read_job(path), now or datetime.now(UTC)
    workspace = open_workspace(job)
    nights = newest_nights(workspace.root, job.name)
    champion = read_champion(workspace.models)
    today = now.astimezone(job.zone).date()
    facts = {
        "job": job.name,
        "last_good_night": next((night.date for night in nights if night.complete), None),
        "last_night": {name: getattr(nights[0], name) for name in LAST} if nights else None,
        "last_verdict": nights[0].verdict if nights else None,
        "without_data": [
            night.date
            for night in nights
            if night.verdict == "NO DATA" and night.date >= first_open(job, today)
        ],
        "model_id": champion.current if champion else None,
        "model_age_days": model_age(workspace.models / champion.current, today)
        if champion
        else None,
        "next_run": next_start(job, now).isoformat(timespec="minutes"),
        "bytes": {kind: bytes_below(workspace.root / kind / job.name) for kind in KINDS},
        "bytes_free": shutil.disk_usage(workspace.root).free,
        **precision(workspace.root, job.name),
        "problems": list(problems(job, workspace, now)),
    }
    code = FAILED if facts["problems"] else DONE
    return CommandResult({"path": str(workspace.root), **facts}, words(job, facts), code)


def first_open(job: Job, today: date) -> str:
    """The earliest data date that is still made up for."""
    return (today - timedelta(days=job.schedule.max_catch_up_days + 1)).isoformat()


def problems(job: Job, workspace: Workspace, now: datetime) -> Iterator[str]:
    """What an operator should do something about."""
    champion = read_champion(workspace.models)
    if champion is None:
        yield "no model is in force: run 'nightglass train JOB'"
        return
    if champion.current not in list_models(workspace.models):
        yield f"model {champion.current}, the one in force, is gone from {workspace.models}: restore its folder from a copy"
    for night in due_nights(job, yesterday(job, last_start(job, now))):
        yield f"{night.date}: {night.why}"
    limit, age = (
        job.schedule.max_model_age_days,
        model_age(workspace.models / champion.current, now.astimezone(job.zone).date()),
    )
    if limit and age is not None and age > limit:
        yield f"the model is {age} days old, the limit is {limit}: run 'nightglass train JOB'"
    free = shutil.disk_usage(workspace.root).free
    if free < 2 * RESERVE:
        yield f"{format_bytes(free)} are free on the disk: see 'nightglass prune JOB'"


def words(job: Job, facts: dict[str, Any]) -> str:
    """For a terminal: what is open first."""
    open_ones = len(facts["problems"])
    lines = [
        f"{job.name}: "
        + (f"{open_ones} open problem{'s' * (open_ones > 1)}" if open_ones else "nothing to do")
    ]
    lines += [f"  ! {problem}" for problem in facts["problems"]]
    return "\n".join(
        [*lines, *(f"  {name:<17}{value}" for name, value in told(job, facts) if value)]
    )


def told(job: Job, facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What there is to know, a line each; a line without words is left out."""
    night, age = facts["last_night"], facts["model_age_days"]
    yield (
        "last night",
        headline(*(night[name] for name in ("date", "verdict", "flagged", "rows")))
        if night
        else "none yet",
    )
    yield "last good night", facts["last_good_night"] or "none yet"
    yield "without data", ", ".join(facts["without_data"])
    yield (
        "labels",
        f"{facts['right']:,} of {facts['labelled']:,} labelled flags were right"
        if facts["labelled"]
        else "",
    )
    trained = (
        "age unknown, its run.json is gone"
        if age is None
        else f"trained {age} day{'s' * (age != 1)} ago"
        if age
        else "trained today"
    )
    yield "model", f"{facts['model_id']}, {trained}" if facts["model_id"] else "none"
    yield (
        "next run",
        f"{datetime.fromisoformat(facts['next_run']):%Y-%m-%d %H:%M} {job.schedule.timezone}",
    )
    space = ", ".join(
        f"{kind} {format_bytes(size)}" for kind, size in facts["bytes"].items() if size
    )
    yield "space", f"{space or 'nothing written yet'}; {format_bytes(facts['bytes_free'])} free"
