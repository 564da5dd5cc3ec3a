"""Data dates and the schedule."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from cronsim import CronSim

from flows.errors import UsageError
from flows.jobs.settings import Job


def parse_date(text: str) -> date:
    """A data date from YYYY-MM-DD. Raises UsageError."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"a data date must look like 2026-11-22. Got '{text}' instead.") from error


def yesterday(job: Job, at: datetime | None = None) -> date:
    """The data date due at a moment: the day before it in the job's time zone.

    at: the scheduled start of a run; now if None.
    """
    return (at or datetime.now(UTC)).astimezone(job.zone).date() - timedelta(days=1)


def dates_between(first: date, last: date) -> list[date]:
    """All data dates from `first` to `last`, inclusive. Raises UsageError if last < first."""
    if last < first:
        raise UsageError(f"--from must not be after --to. Got {first} and {last} instead.")
    return [first + timedelta(days=day) for day in range((last - first).days + 1)]


def last_start(job: Job, now: datetime) -> datetime:
    """The latest scheduled start at or before `now`, in the job's time zone."""
    return _last_at(job, now.astimezone(job.zone))


def next_start(job: Job, now: datetime) -> datetime:
    """The first scheduled start after `now`, in the job's time zone."""
    return next(CronSim(job.schedule.cron, now.astimezone(job.zone)))


def due_date(job: Job, now: datetime) -> date:
    """The data date of the latest scheduled start at or before `now`.

    It is the day before the start as `schedule.cron` has it: a start at 23:59 that the clock skips
    is at 00:00 of the next day, and still stands for its own day.
    """
    on_the_clock = last_start(job, now).replace(tzinfo=None)
    return _last_at(job, on_the_clock).date() - timedelta(days=1)


def _last_at(job: Job, moment: datetime) -> datetime:
    """The latest start at or before a moment, which has a time zone or none."""
    # CronSim goes back from the moment itself only if it has a fraction of a second
    return next(CronSim(job.schedule.cron, moment + timedelta(microseconds=1), reverse=True))
