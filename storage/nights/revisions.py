"""Nights on disk: revisions, and a way to publish one that may be killed at any moment and run again.

work/report/ and work/scores/   grow; work/ready.json says that both are whole
scores/<job>/date=…/            the newest revision's scores        superseded/<job>/date=…/rev=N/   older ones
reports/<job>/<date>/rev=N/     every revision's report             reports/<job>/nights.jsonl, index.html
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.files.atomic import publish_folder, write_bytes, write_json
from storage.files.manifest import read_manifest

READY = "ready.json"
MOST_NIGHTS = 400  # in the index page; nights.jsonl keeps all


@dataclass(frozen=True)
class NightPlace:
    """The folders of one job's data date below a workspace root."""

    root: Path
    job: str
    date: str

    @property
    def scores(self) -> Path:
        """The newest revision's scores."""
        return self.root / "scores" / self.job / f"date={self.date}"

    @property
    def reports(self) -> Path:
        """All revisions' reports of this date."""
        return self.root / "reports" / self.job / self.date

    def report(self, revision: int) -> Path:
        """One revision's report."""
        return self.reports / f"rev={revision}"

    def superseded(self, revision: int) -> Path:
        """Scores of a revision that is no longer the newest."""
        return self.root / "superseded" / self.job / f"date={self.date}" / f"rev={revision}"

    def newest(self) -> int:
        """Number of the newest published revision, 0 where there is none."""
        return max(
            (int(path.name.removeprefix("rev=")) for path in self.reports.glob("rev=*")), default=0
        )

    def summary(self, revision: int) -> dict[str, Any]:
        """summary.json of a revision."""
        found: dict[str, Any] = json.loads(
            (self.report(revision) / "summary.json").read_text(encoding="utf-8")
        )
        return found

    def run(self, revision: int) -> dict[str, Any]:
        """run.json of a revision; empty where it is gone."""
        path = self.report(revision) / "run.json"
        found: dict[str, Any] = (
            json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        )
        return found

    def note_run(self, revision: int, **facts: object) -> None:
        """Put facts into run.json of a revision, which no digest covers; nothing where it is gone."""
        if run := self.run(revision):
            write_json(self.report(revision) / "run.json", {**run, **facts})


def mark_ready(work: Path, revision: int) -> None:
    """Say that everything in `work` is whole, and which revision it is to become."""
    write_json(work / READY, {"revision": revision})


def publish_night(place: NightPlace, work: Path) -> int | None:
    """Put a night that is ready into place; return its revision, or None where `work` holds none that is ready.

    Every step may be the one at which an earlier run was killed.
    """
    if not (work / READY).exists():
        return None
    revision: int = json.loads((work / READY).read_text(encoding="utf-8"))["revision"]
    if (work / "scores").exists():
        if place.scores.exists():
            older = read_manifest(place.scores, "scores")["revision"]
            publish_folder(place.scores, place.superseded(older))
        publish_folder(work / "scores", place.scores)
    if (work / "report").exists():
        publish_folder(work / "report", place.report(revision))
    list_night(place, revision)
    shutil.rmtree(work)
    return revision


def list_night(place: NightPlace, revision: int) -> None:
    """Put a revision into nights.jsonl, once, and build the index page anew."""
    path = place.root / "reports" / place.job / "nights.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    line = json.dumps(_line(place.summary(revision)), ensure_ascii=False)
    if line not in lines:
        lines.append(line)
        write_bytes(path, ("\n".join(lines) + "\n").encode())
    write_index(path.parent, place.job, [json.loads(each) for each in lines])


def write_index(folder: Path, job: str, nights: list[dict[str, Any]]) -> None:
    """The page of all nights, the newest date and revision first."""
    from storage.pages import render  # late: jinja2 takes time to import

    ordered = sorted(nights, key=lambda night: (night["date"], night["revision"]), reverse=True)
    most = max((night["flagged"] for night in ordered), default=0)
    write_bytes(
        folder / "index.html",
        render(
            "index.html.j2", job=job, nights=ordered[:MOST_NIGHTS], most=most, total=len(ordered)
        ),
    )


def _line(summary: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: summary[key]
        for key in ("date", "revision", "verdict", "rows", "flagged", "model_id", "rule")
    }


def newest_nights(root: Path, job: str) -> list[dict[str, Any]]:
    """summary.json of the newest revision of every date of a job, the newest date first."""
    dates = sorted(
        (path.name for path in (root / "reports" / job).glob("*-*-*") if path.is_dir()),
        reverse=True,
    )
    places = [NightPlace(root, job, date) for date in dates]
    return [place.summary(revision) for place in places if (revision := place.newest())]
