"""status: the state of a job and its open problems.

Text for a person; the exit code serves a monitor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from flows.engine.disk_space import RESERVE, bytes_below, bytes_free
from flows.errors import DONE, FAILED
from flows.jobs.dates import due_date, next_start
from flows.jobs.job_file import read_job
from flows.jobs.settings import Job
from flows.jobs.workspace import Workspace, find_workspace
from flows.operations.labels import Precision, read_precision
from flows.publishing.nights import unpublished_nights
from flows.scoring.catch_up import due_nights, forgotten_ranges
from flows.scoring.result import flagged_counts
from flows.training.champion import model_age
from storage.models import list_models, missing_champion, read_champion
from storage.nights.revisions import newest_nights
from storage.units import format_bytes

KINDS = ("models", "latents", "snapshots", "scores", "superseded", "reports")


@dataclass(frozen=True)
class LastNight:
    """The newest revision of the newest night."""

    date: str
    verdict: str
    revision: int
    rows: int
    flagged: int
    events: bool

    def to_text(self) -> str:
        """Return one line for a terminal."""
        counts = flagged_counts(self.flagged, self.rows, events=self.events)
        return f"{self.date}: {self.verdict}{f', {counts}' if self.rows else ''}"


@dataclass(frozen=True)
class Nights:
    """The nights of a job.

    last_good: date of the newest complete night. without_data: dates of NO DATA nights that are
    still rechecked.
    """

    last: LastNight | None
    last_good: str | None
    without_data: Sequence[str]


@dataclass(frozen=True)
class ModelAge:
    """The champion and the days since its training, None if its run.json is missing."""

    model_id: str
    days: int | None

    def to_text(self) -> str:
        """Return one line for a terminal."""
        if self.days is None:
            return f"{self.model_id}, age unknown: run.json is missing"
        if self.days == 0:
            return f"{self.model_id}, trained today"
        return f"{self.model_id}, trained {self.days} day{'s' * (self.days != 1)} ago"


@dataclass(frozen=True)
class DiskSpace:
    """Bytes used by kind of result, and bytes free on the disk."""

    used: Mapping[str, int]
    free: int

    def to_text(self) -> str:
        """Return one line for a terminal."""
        used = [f"{kind} {format_bytes(size)}" for kind, size in self.used.items() if size]
        return f"{', '.join(used) or 'nothing written yet'}; {format_bytes(self.free)} free"


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """The state of a job. next_run: with the job's time zone."""

    job: Job
    root: Path
    nights: Nights
    champion: ModelAge | None
    next_run: datetime
    space: DiskSpace
    labels: Precision
    problems: Sequence[str]

    @property
    def exit_code(self) -> int:
        """1 if there are problems, else 0."""
        return FAILED if self.problems else DONE

    def to_json(self) -> dict[str, object]:
        """Return the JSON object for --json."""
        last = self.nights.last
        return {
            "path": str(self.root),
            "job": self.job.name,
            "last_good_night": self.nights.last_good,
            "last_night": asdict(last) if last else None,
            "last_verdict": last.verdict if last else None,
            "without_data": list(self.nights.without_data),
            "model_id": self.champion.model_id if self.champion else None,
            "model_age_days": self.champion.days if self.champion else None,
            "next_run": self.next_run.isoformat(timespec="minutes"),
            "bytes": dict(self.space.used),
            "bytes_free": self.space.free,
            **self.labels.to_json(),
            "problems": list(self.problems),
        }

    def to_text(self) -> str:
        """Return the text for a terminal, problems first."""
        lines = [f"{self.job.name}: {_count_problems(len(self.problems))}"]
        lines += [f"  ! {problem}" for problem in self.problems]
        lines += [f"  {name:<17}{text}" for name, text in self._lines() if text]
        return "\n".join(lines)

    def _lines(self) -> Iterator[tuple[str, str]]:
        """Yield name and text of each line; empty texts are left out."""
        last = self.nights.last
        yield "last night", last.to_text() if last else "none yet"
        yield "last good night", self.nights.last_good or "none yet"
        yield "without data", ", ".join(self.nights.without_data)
        yield "labels", self.labels.to_text() if self.labels.labeled else ""
        yield "model", self.champion.to_text() if self.champion else "none"
        yield "next run", f"{self.next_run:%Y-%m-%d %H:%M} {self.job.schedule.timezone}"
        yield "space", self.space.to_text()


def status_of(path: Path, *, now: datetime | None = None) -> JobStatus:
    """Collect the state of the job in a job file."""
    job, now = read_job(path), now or datetime.now(UTC)
    workspace = find_workspace(job)
    today = now.astimezone(job.zone).date()
    return JobStatus(
        job=job,
        root=workspace.root,
        nights=read_nights(job, workspace, today),
        champion=read_model_age(workspace, today),
        next_run=next_start(job, now),
        space=measure_space(workspace),
        labels=read_precision(workspace),
        problems=list(find_problems(job, workspace, now)),
    )


def read_nights(job: Job, workspace: Workspace, today: date) -> Nights:
    """Read the last nights from the newest revisions."""
    nights = newest_nights(workspace.root, job.name)
    good = [night.date for night in nights if night.complete]
    without_data = [night.date for night in nights if night.verdict == "NO DATA"]
    last = None
    if nights:
        newest = nights[0]
        last = LastNight(
            date=newest.date,
            verdict=newest.verdict,
            revision=newest.revision,
            rows=newest.rows,
            flagged=newest.flagged,
            events=job.series is not None,
        )
    first = first_rechecked(job, today)
    return Nights(last, next(iter(good), None), [each for each in without_data if each >= first])


def first_rechecked(job: Job, today: date) -> str:
    """Return the earliest data date that is still backfilled."""
    return (today - timedelta(days=job.schedule.max_catch_up_days + 1)).isoformat()


def read_model_age(workspace: Workspace, today: date) -> ModelAge | None:
    """Read the champion and its age; None if there is no champion."""
    champion = read_champion(workspace.models)
    if champion is None:
        return None
    return ModelAge(champion.current, model_age(workspace.models / champion.current, today))


def measure_space(workspace: Workspace) -> DiskSpace:
    """Measure the disk space that the job's results take."""
    used = {kind: bytes_below(workspace.root / kind / workspace.job) for kind in KINDS}
    return DiskSpace(used, bytes_free(workspace.root))


def find_problems(job: Job, workspace: Workspace, now: datetime) -> Iterator[str]:
    """Yield the problems that an operator must act on."""
    champion = read_model_age(workspace, now.astimezone(job.zone).date())
    if champion is None:
        yield missing_champion(workspace.models)
        return
    if champion.model_id not in list_models(workspace.models):
        yield (
            f"champion {champion.model_id} is missing from {workspace.models}:"
            " restore its folder from a backup"
        )
    for night in due_nights(job, due_date(job, now)):
        yield f"{night.date}: {night.why}"
    for first, last in forgotten_ranges(job, due_date(job, now)):
        yield _forgotten(first, last, limit=job.schedule.max_catch_up_days)
    for each in unpublished_nights(job):
        yield f"{each.night.date}: not in {each.place.shown}: {each.why}; the next run writes it"
    limit = job.schedule.max_model_age_days
    if limit and champion.days is not None and champion.days > limit:
        yield (
            f"the champion is {champion.days} days old, the limit is {limit}:"
            " run 'nightglass train JOB'"
        )
    free = bytes_free(workspace.root)
    if free < 2 * RESERVE:
        yield f"only {format_bytes(free)} free on the disk: see 'nightglass prune JOB'"


def _forgotten(first: date, last: date, *, limit: int) -> str:
    """Name nights that no run backfills any more, and the command that does."""
    why = f"input but no scores, and older than schedule.max_catch_up_days = {limit}"
    score = "run 'nightglass score JOB --model as-of"
    if first == last:
        return f"{first}: {why}: {score} --date {first}'"
    return f"{first} to {last}: {why}: {score} --from {first} --to {last}'"


def _count_problems(count: int) -> str:
    return f"{count} open problem{'s' * (count > 1)}" if count else "nothing to do"
