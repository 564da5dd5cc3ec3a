"""The input of a run: which rows a command reads, and whether they are complete."""

from __future__ import annotations

import glob
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

from aemodel.rows.layout import Layout
from flows.errors import UsageError
from flows.jobs.dates import parse_date
from flows.jobs.queries import ensure_clean_rows, fetch_rows, require_rows, run_of_query
from flows.jobs.series.inputs import open_clean_series, open_night_series
from flows.jobs.settings import Job
from storage.databases.query import is_query
from storage.errors import NoDataError
from storage.files.reads import read_refusals
from storage.objects.paths import ObjectPath, located
from storage.sources import (
    Kinds,
    Reading,
    Schema,
    Source,
    check_schema,
    find_files,
    grouped,
    named_features,
    open_sound_files,
    open_source,
    open_surveyed,
)

MOST_BESIDE = 3  # names in the message of a missing input


def input_path(job: Job, *, source: str, date: str) -> Path:
    """The input of a command: --source, else the job's input for --date, else the clean rows."""
    if source and date:
        raise UsageError("--source and --date name two inputs; pass only one")
    if source:
        return source_path(source, endpoint=job.endpoint)
    return job.incoming(parse_date(date)) if date else job.clean


def source_path(source: str, *, endpoint: str = "") -> Path:
    """The path of --source. Raises UsageError for a query."""
    if is_query(source):
        raise UsageError(
            "--source must be a path. Got a query instead; set data.incoming or data.clean to it"
        )
    return located(source, endpoint=endpoint)


@contextmanager
def open_input(job: Job, layout: Layout, *, source: str, date: str) -> Iterator[Source]:
    """Open the input of a command, see `input_path`; a query is run first."""
    path, day = input_path(job, source=source, date=date), parse_date(date) if date else None
    if source:
        ensure_clean_rows(job)
        with open_rows(job, path, layout) as opened:
            yield opened
        return
    with run_of_query(job, day):
        fetch_rows(job, day)
        if day:
            ensure_clean_rows(job)
            require_rows(job, day)
        with open_rows(job, path, layout) as opened:
            yield opened


@contextmanager
def open_clean(job: Job, *, only_sound: bool = False) -> Iterator[Source]:
    """Open the clean rows that the job file names, with the columns that are features.

    only_sound: see `open_surveyed`.
    """
    with run_of_query(job, None):
        fetch_rows(job, None)
        how = _reading_of(job, job.clean)
        if job.series is not None:
            with open_clean_series(job, job.series, how, only_sound=only_sound) as series:
                yield series
            return
        with open_surveyed(job.clean, only_sound=only_sound, **how) as source:
            yield source


def open_rows(job: Job, path: Path, layout: Layout) -> Source:
    """Open `path` as the job file says, with the columns of a model in their order and kinds."""
    return open_source(path, **_reading(job, path, layout))


def _reading(job: Job, path: Path, layout: Layout) -> Reading:
    kinds = kinds_of_columns(layout)
    return {**_reading_of(job, path), "columns": [*kinds], "kinds": kinds}


def _reading_of(job: Job, path: Path) -> Reading:
    """How clean rows are read; data.csv is not about the results of queries."""
    how = job.data.reading
    if path.is_relative_to(job.snapshots):
        del how["csv"]
    return how


def layout_of(job: Job, schema: Schema) -> Layout:
    """The layout of the clean rows of a job, as a model is trained on them."""
    return Layout(
        row_shape=schema.row_shape,
        dtype=schema.dtype,
        columns=schema.columns,
        kinds=schema.kinds,
        max_levels=job.data.max_levels,
    )


def kinds_of_columns(layout: Layout) -> Kinds:
    """As what a model reads each column of a table."""
    return grouped(named_features(_schema(layout)))


def _schema(layout: Layout) -> Schema:
    return Schema(layout.row_shape, layout.dtype, layout.columns, kinds=layout.kinds)


def check_layout(source: Source, layout: Layout) -> None:
    """Raise SchemaError unless the rows have the shape, dtype and columns of the model."""
    check_schema(source.path, source.schema, _schema(layout))


def open_night(job: Job, path: Path, layout: Layout, *, data_date: date | None) -> Source:
    """Open the rows of a night, tolerant of broken files and rows; they are listed in its report.

    The input of a data date must be complete.

    Raises NoDataError, SourceError and SchemaError.
    """
    if data_date:
        require_marker_file(job, data_date)
        fetch_rows(job, data_date)
        require_ready(job, data_date)
    opened = _open_sound(job, path, _reading(job, path, layout), data_date)
    check_layout(opened, layout)
    opened.tolerant = True
    return opened


def _open_sound(job: Job, path: Path, reading: Reading, data_date: date | None) -> Source:
    if job.series is None:
        return open_sound_files(path, **reading)
    return open_night_series(job, path, reading, data_date=data_date)


def require_ready(job: Job, data_date: date) -> None:
    """Raise NoDataError if the input of a data date is missing or may be incomplete.

    Of a query, the input is the result when it last ran.
    """
    require_marker_file(job, data_date)
    if "incoming" in job.data.queries:
        require_rows(job, data_date)
        return
    files = _incoming_files(job, data_date)
    if not job.data.ready and job.data.settle:
        _require_settled(files, job.data.settle)


def _incoming_files(job: Job, data_date: date) -> list[Path]:
    """Find the input of a data date. Raises NoDataError that says what to change."""
    path = job.incoming(data_date)
    try:
        return find_files(path)
    except NoDataError as exc:
        elsewhere = "if the rows are elsewhere, set data.incoming, or name them with --source"
        raise NoDataError(f"{exc}; {_names_beside(path)}{elsewhere}") from exc


def _names_beside(path: Path) -> str:
    """Say which names begin as that of a local path that does not exist, such as DATE.csv."""
    if isinstance(path, ObjectPath) or path.exists():
        return ""
    stem = glob.escape(path.name.partition(".")[0])
    names = sorted(each.name for each in path.parent.glob(f"{stem}*"))
    return f"beside it: {', '.join(names[:MOST_BESIDE])}; " if names else ""


def require_marker_file(job: Job, data_date: date) -> None:
    """Raise NoDataError if the marker of a complete input is missing."""
    marker = job.marker(data_date)
    if marker is None:
        return
    with read_refusals(marker):
        found = marker.exists()
    if not found:
        raise NoDataError(f"{marker}: not found; the night is rechecked until it exists")


def _require_settled(files: list[Path], settle: timedelta) -> None:
    changed = {file: _changed(file) for file in files}
    newest = max(files, key=changed.__getitem__)
    age = timedelta(seconds=round(time.time() - changed[newest]))
    if age < settle:
        raise NoDataError(
            f"{newest}: changed {age.total_seconds():.0f} s ago; the input counts as complete "
            f"after {settle.total_seconds():.0f} s without changes; the night is rechecked"
        )


def _changed(file: Path) -> float:
    """Return when a file was last changed, in seconds since the epoch. Raises ReadError."""
    with read_refusals(file):
        return file.stat().st_mtime
