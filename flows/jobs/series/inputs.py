"""The input of a job with [series]: rows in order of entity and time."""

from __future__ import annotations

import shutil
from contextlib import suppress
from datetime import date, timedelta
from functools import partial
from pathlib import Path

from flows.engine.disk_space import require_free
from flows.jobs.date_paths import names_a_date
from flows.jobs.series.settings import SeriesSettings
from flows.jobs.settings import Job
from flows.jobs.workspace import open_workspace
from storage.databases.query import is_query
from storage.errors import LockedError
from storage.files.locks import is_locked
from storage.sources import Reading
from storage.sources.series.opening import open_series
from storage.sources.series.order import NightBefore, SortSpace
from storage.sources.series.snapshot import delete_unused
from storage.sources.series.source import SeriesSource

SORTED = "sorted-"  # work folders with sorted rows: of clean data, and of nights
CONTEXT_ROWS = 256  # of the night before that are read along, of each entity, at least
CONTEXT_WINDOWS = 2  # one before a row, and one before that whose values fill gaps


def open_clean_series(
    job: Job, series: SeriesSettings, reading: Reading, *, only_sound: bool
) -> SeriesSource:
    """Open the clean rows in series order; rows in another order are sorted once."""
    space = sort_space(job, "clean")
    return open_series(job.clean, series.order, space, only_sound=only_sound, **reading)


def open_night_series(
    job: Job, path: Path, reading: Reading, *, data_date: date | None
) -> SeriesSource:
    """Open the rows of a night in series order, and the last ones of the night before."""
    assert job.series is not None, "a job with [series]"
    return open_series(
        path,
        job.series.order,
        sort_space(job, "nights"),
        before=_night_before(job, data_date),
        only_sound=True,
        **reading,
    )


def sort_space(job: Job, name: str) -> SortSpace:
    """Where rows of a job are sorted."""
    folder = open_workspace(job).work(f"{SORTED}{name}")
    return SortSpace(folder, job.score.memory, partial(require_free, folder.parent))


def forget_clean_series(job: Job) -> None:
    """Delete the sorted clean rows, which nothing reads after a training."""
    shutil.rmtree(sort_space(job, "clean").folder, ignore_errors=True)


def forget_old_nights(job: Job) -> None:
    """Delete sorted rows of nights but the newest, unless another night is being scored."""
    if job.series is None:
        return
    workspace = open_workspace(job)
    if any(map(is_locked, workspace.root.glob(f".work/{job.name}-score-*.lock"))):
        return
    with suppress(LockedError):  # another process sorts, and deletes them afterwards
        delete_unused(sort_space(job, "nights").folder)


def _night_before(job: Job, data_date: date | None) -> NightBefore | None:
    if data_date is None or is_query(job.data.incoming) or not names_a_date(job.data.incoming):
        return None
    assert job.series is not None, "a job with [series]"
    if job.series.baseline.rows:  # each night has a level of its own: windows do not span nights
        return None
    rows = max(CONTEXT_ROWS, CONTEXT_WINDOWS * job.series.window)
    return NightBefore(job.incoming(data_date - timedelta(days=1)), rows)
