"""What a night came to, for whoever asks: the command line, the pages of runs, messages, the next run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.errors import DONE, FAILED, IN_PART, NO_DATA
from flows.workspace import near
from storage.nights import NightPlace


@dataclass(frozen=True)
class NightResult:
    """What a night came to."""

    date: str
    verdict: str
    revision: int
    rows: int
    flagged: int
    path: Path
    written: bool
    top_rows: tuple[int, ...]
    promise: str

    @property
    def code(self) -> int:
        """The exit code: 0 done, 1 failed, 3 no data, 4 done in part."""
        first = self.verdict.split()[0]
        return {"FAILED": FAILED, "NO": NO_DATA, "PARTIAL": IN_PART}.get(first, DONE)

    def facts(self) -> dict[str, Any]:
        """For --json."""
        plain = {name: getattr(self, name) for name in ("date", "verdict", "revision", "rows", "flagged", "written", "code")}
        return {"path": str(self.path), **plain}

    def headline(self) -> str:
        """Date, verdict and count, on one line; where nothing was scored, date and verdict."""
        return headline(self.date, self.verdict, self.flagged, self.rows)

    def words(self) -> str:
        """For a terminal."""
        known = "" if self.written else " (nothing new: this revision was already there)"
        return f"{self.headline()}{known}\n  {self.promise}\n  {near(self.path / 'report.html')}"


def headline(date: str, verdict: str, flagged: int, rows: int) -> str:
    """A night on one line; see `NightResult.headline`."""
    return f"{date}: {verdict}" + (f", {flagged:,} of {rows:,} rows flagged" if rows else "")


def result_of(place: NightPlace, revision: int, *, written: bool) -> NightResult:
    """The result of a published revision, read from its summary."""
    import pyarrow.parquet as pq  # late: status and monitors do without

    summary = place.summary(revision)
    outliers = place.report(revision) / "outliers.parquet"
    top_rows = pq.read_table(outliers, columns=["row"]).column("row").to_pylist() if summary["rows"] else []
    return NightResult(
        date=place.date,
        verdict=summary["verdict"],
        revision=revision,
        rows=summary["rows"],
        flagged=summary["flagged"],
        path=place.report(revision),
        written=written,
        top_rows=tuple(top_rows),
        promise=summary["promise"],
    )
