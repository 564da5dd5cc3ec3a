"""Copies of a night in a bucket.

PREFIX/reports/JOB/DATE/rev=N/           the report
PREFIX/scores/JOB/date=DATE/rev=N/       the scores, if the revision has any
PREFIX/reports/JOB/index.html            all nights, with the list and the page of each year

A folder's manifest is its last object: without it, a reader knows that the copy is not complete.
"""

from __future__ import annotations

from pathlib import Path

from storage.files.manifest import NAME, read_manifest
from storage.nights.index.year_lists import listing_of
from storage.nights.revisions import NightPlace
from storage.objects.copy import copy_files
from storage.objects.paths import ObjectPath


def copy_night(night: NightPlace, prefix: ObjectPath) -> None:
    """Copy the newest revision of a night. Raises BucketError or DamagedError."""
    revision, reports = night.newest(), prefix / "reports" / night.job
    folder = f"rev={revision}"
    _copy_folder(night.report(revision), reports / night.date / folder)
    if _has_scores_of(night, revision):
        scores = prefix / "scores" / night.job / f"date={night.date}"
        _copy_folder(night.scores, scores / folder)
    pages = listing_of(night.reports.parent, night.date)
    copy_files([(page, reports / page.name) for page in pages])


def _has_scores_of(night: NightPlace, revision: int) -> bool:
    if not night.scores.exists():
        return False
    return bool(read_manifest(night.scores, "scores")["revision"] == revision)


def _copy_folder(folder: Path, target: ObjectPath) -> None:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    ordered = sorted(files, key=lambda file: file.name == NAME)
    copy_files([(file, target / file.relative_to(folder)) for file in ordered])
