"""Published in-sample runs: beside the nights of a job, but not in their index.

scores/JOB/in-sample/           scores of the newest revision
superseded/JOB/in-sample/       scores of older revisions, in rev=N/
reports/JOB/in-sample/rev=N/    the report of every revision
"""

from __future__ import annotations

import shutil
from pathlib import Path

from storage.nights.revisions import NightPlace, is_ready, publish_folders
from storage.nights.summary import NightLine


class InSamplePlace(NightPlace):
    """The folders of a job's in-sample runs. Its `date` is a word, and no partition of scores."""

    @property
    def scores(self) -> Path:
        """Scores of the newest revision."""
        return self.root / "scores" / self.job / self.date

    def nights_before(self) -> list[NightLine]:
        """Return no nights: rows compared with each other are of no night."""
        return []

    def superseded(self, revision: int) -> Path:
        """Return the folder for the scores of a revision that is no longer the newest."""
        return self.root / "superseded" / self.job / self.date / f"rev={revision}"


def publish_in_sample(place: NightPlace, work: Path) -> int | None:
    """Publish the run in `work` and return its revision, or None if none is ready.

    Safe to repeat, like `publish_revision`.
    """
    if not is_ready(work):
        return None
    revision = publish_folders(place, work)
    shutil.rmtree(work)
    return revision
