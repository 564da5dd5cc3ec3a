"""What a run works on: the data date, the device, and the rows that a command's options name."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from flows.errors import UsageError
from flows.job import Job
from storage.sources import Source, open_source

log = logging.getLogger(__name__)


def parse_date(text: str) -> date:
    """A data date from YYYY-MM-DD. Raises UsageError."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"a data date must look like 2026-11-22. Got '{text}' instead.") from error


def yesterday(job: Job, at: datetime | None = None) -> date:
    """The data date that is due `at` a moment (now, or the scheduled start of a run): the day before it in the job's time zone."""
    return (at or datetime.now(UTC)).astimezone(job.zone).date() - timedelta(days=1)


def dates_between(first: date, last: date) -> list[date]:
    """All data dates from `first` to `last`, both included. Raises UsageError where they stand the wrong way round."""
    if last < first:
        raise UsageError(f"--from must not be after --to. Got {first} and {last} instead.")
    return [first + timedelta(days=day) for day in range((last - first).days + 1)]


def rows_of(job: Job, *, source: str, date: str) -> Path:
    """The input that the options name: --source, else the job's place for --date, else the clean rows."""
    if source and date:
        raise UsageError("--source and --date name two inputs; give one of them")
    if source:
        return Path(source)
    return job.incoming(parse_date(date)) if date else job.path(job.data.clean)


def open_rows(job: Job, path: Path, columns: tuple[str, ...]) -> Source:
    """Open `path` the way the job file says, with the model's columns in the model's order."""
    return open_source(path, field=job.data.field, columns=columns, id=job.data.id, missing=job.data.missing)


def pick_device(wanted: str, *, require_gpu: bool) -> str:
    """The torch device to use: for 'auto' a GPU where there is one.

    Raises UsageError where a GPU is required or named, and there is none.
    """
    import torch

    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": not require_gpu}
    if wanted != "auto" and not present[wanted]:
        raise UsageError(f"train.device = '{wanted}': this machine offers no such device" + (" that is a GPU" if wanted == "cpu" else ""))
    chosen = next((device for device, there in present.items() if there and wanted in ("auto", device)), None)
    if chosen is None:
        raise UsageError("--require-gpu: this machine has no GPU that torch can use")
    return chosen
