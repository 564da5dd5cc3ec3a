"""Published nights: revisions on disk, and publishing that survives a kill at any step.

work/report/, work/scores/    being built; work/ready.json marks both as complete
scores/JOB/date=DATE/         scores of the newest revision
superseded/JOB/date=DATE/     scores of older revisions, in rev=N/
reports/JOB/DATE/rev=N/       the report of every revision
reports/JOB/                  lists and pages of all nights, see storage.nights.index
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from storage.files.atomic import publish_folder, write_json
from storage.files.locks import CHANGE_SECONDS, lock
from storage.files.manifest import read_manifest
from storage.nights.index.year_lists import add_night, nights_before
from storage.nights.summary import NightLine, NightSummary

READY = "ready.json"
NIGHT = "night"  # in a work folder: where a revision is built
SHOWN_BEFORE = 60  # nights, so that a report has a history


@dataclass(frozen=True)
class NightPlace:
    """The folders of one data date of a job, below a workspace root."""

    root: Path
    job: str
    date: str

    @property
    def scores(self) -> Path:
        """Scores of the newest revision."""
        return self.root / "scores" / self.job / f"date={self.date}"

    @property
    def reports(self) -> Path:
        """Reports of all revisions."""
        return self.root / "reports" / self.job / self.date

    def report(self, revision: int) -> Path:
        """Return the folder of one revision's report."""
        return self.reports / f"rev={revision}"

    def superseded(self, revision: int) -> Path:
        """Return the folder for the scores of a revision that is no longer the newest."""
        return self.root / "superseded" / self.job / f"date={self.date}" / f"rev={revision}"

    @property
    def nights_lock(self) -> Path:
        """Lock of the lists and pages of the nights of all dates."""
        return self.root / ".work" / f"{self.job}-nights.lock"

    def newest(self) -> int:
        """Return the number of the newest published revision, or 0 if there is none."""
        numbers = (int(path.name.removeprefix("rev=")) for path in self.reports.glob("rev=*"))
        return max(numbers, default=0)

    def summary(self, revision: int) -> NightSummary:
        """Read summary.json of a revision."""
        return _read_summary(self.report(revision))

    def nights_before(self) -> list[NightLine]:
        """Read the newest revisions of earlier dates, oldest first: those that a report shows."""
        return nights_before(self.reports.parent, self.date, at_least=SHOWN_BEFORE)

    def run(self, revision: int) -> dict[str, object]:
        """Read run.json of a revision; empty if it was deleted."""
        path = self.report(revision) / "run.json"
        if not path.exists():
            return {}
        content: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
        return content

    def note_run(self, revision: int, **facts: object) -> None:
        """Add facts to run.json of a revision, which no digest covers, unless it was deleted."""
        if run := self.run(revision):
            write_json(self.report(revision) / "run.json", {**run, **facts})


def mark_ready(work: Path, revision: int) -> None:
    """Mark everything in `work` as complete, to be published as `revision`."""
    write_json(work / READY, {"revision": revision})


def is_ready(work: Path) -> bool:
    """Whether a complete night in `work` is not published yet, or only in part."""
    return (work / READY).exists()


def publish_revision(place: NightPlace, work: Path) -> int | None:
    """Publish the night in `work` and return its revision, or None if none is ready.

    Safe to repeat: an earlier run may have been killed between any two steps. The report comes
    first, so scores never belong to a revision without a report.
    """
    if not is_ready(work):
        return None
    revision = publish_folders(place, work)
    list_night(place, revision)
    shutil.rmtree(work)
    return revision


def _read_summary(report: Path) -> NightSummary:
    text = (report / "summary.json").read_text(encoding="utf-8")
    return NightSummary.from_json(json.loads(text))


def publish_folders(place: NightPlace, work: Path) -> int:
    """Move report and scores of a ready night into place, and return its revision."""
    revision: int = json.loads((work / READY).read_text(encoding="utf-8"))["revision"]
    if (work / "report").exists():
        publish_folder(work / "report", place.report(revision))
    if (work / "scores").exists():
        _supersede_scores(place)
        publish_folder(work / "scores", place.scores)
    return revision


def _supersede_scores(place: NightPlace) -> None:
    """Move the scores of the newest revision, if any, to the superseded ones."""
    if place.scores.exists():
        older = read_manifest(place.scores, "scores")["revision"]
        publish_folder(place.scores, place.superseded(older))


def list_night(place: NightPlace, revision: int) -> None:
    """Add a revision to the list of its year, unless it is there, and write the page of the year.

    The page of the newest year is index.html as well.
    """
    from storage.nights.index.page import write_year_page  # late: jinja2 is slow to import

    folder = place.reports.parent
    with lock(place.nights_lock, wait=CHANGE_SECONDS):
        nights = add_night(folder, place.summary(revision).line)
        write_year_page(folder, place.job, nights)


def newest_nights(root: Path, job: str) -> list[NightSummary]:
    """Return the summary of the newest revision of every date of a job, newest date first."""
    folders = [path for path in (root / "reports" / job).glob("*-*-*") if path.is_dir()]
    dates = sorted((path.name for path in folders), reverse=True)
    places = [NightPlace(root, job, date) for date in dates]
    return [place.summary(revision) for place in places if (revision := place.newest())]
