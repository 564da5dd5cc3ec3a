"""When a job's nights run. The one place, beside the default data date, where the clock is looked at."""

from __future__ import annotations

from datetime import datetime

from cronsim import CronSim

from flows.job import Job


def last_start(job: Job, now: datetime) -> datetime:
    """The latest scheduled start that is not after `now`, in the job's time zone."""
    return next(CronSim(job.schedule.cron, _local(job, now), reverse=True))


def next_start(job: Job, now: datetime) -> datetime:
    """The first scheduled start after `now`, in the job's time zone."""
    return next(CronSim(job.schedule.cron, _local(job, now)))


def _local(job: Job, now: datetime) -> datetime:
    return now.astimezone(job.zone)
