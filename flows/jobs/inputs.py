"""What a run works on: the data date, the device, and the rows that a command's options name."""

from __future__ import annotations

import time
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from flows.jobs.dates import parse_date
from flows.jobs.settings import Job
from storage.errors import NoDataError
from storage.sources import Schema, Source, check_schema, find_files

if TYPE_CHECKING:
    from aemodel.rows.layout import Layout

import logging

from flows.errors import UsageError
from storage.sources import open_source

log = logging.getLogger(__name__)


def rows_of(job: Job, *, source: str, date: str) -> Path:
    """The input that the options name.

    --source, else the job's place for --date, else the clean rows.
    """
    if source and date:
        raise UsageError("--source and --date name two inputs; give one of them")
    if source:
        return Path(source)
    return job.incoming(parse_date(date)) if date else job.path(job.data.clean)


def open_rows(job: Job, path: Path, columns: tuple[str, ...]) -> Source:
    """Open `path` the way the job file says, with the model's columns in the model's order."""
    return open_source(
        path, field=job.data.field, columns=columns, id=job.data.id, missing=job.data.missing
    )


def require_ready(job: Job, data_date: date) -> None:
    """Raise NoDataError where the rows of a data date are not there, or not known to be complete.

    No marker yet, or changed too recently.
    """
    marker = job.marker(data_date)
    if marker is not None and not marker.exists():
        raise NoDataError(f"{marker}: not there yet; the night is looked at again until it is")
    files = find_files(job.incoming(data_date))
    if marker is None and job.settle:
        newest = max(files, key=lambda file: file.stat().st_mtime)
        age = timedelta(seconds=round(time.time() - newest.stat().st_mtime))
        if age < job.settle:
            raise NoDataError(
                f"{newest}: changed {age.total_seconds():.0f} s ago and counts as complete after {job.data.settle}; the night is looked at again"
            )


def open_night(job: Job, path: Path, layout: Layout, *, data_date: date | None) -> Source:
    """The rows of a night, complete where they are those of `data_date`, and of the form that the model was trained on.

    Raises NoDataError, SourceError and SchemaError.
    """
    if data_date:
        require_ready(job, data_date)
    opened = open_rows(job, path, layout.columns)
    check_schema(opened, Schema(layout.row_shape, layout.dtype, layout.columns))
    return opened
