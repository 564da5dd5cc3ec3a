"""What a night came to, for whoever asks.

The command line, the pages of runs, messages, the next run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.errors import DONE, FAILED, IN_PART, NO_DATA, exit_code
from flows.jobs.workspace import near
from storage.nights.revisions import NightPlace


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
    def exit_code(self) -> int:
        """The exit code: 0 done, 1 failed, 3 no data, 4 done in part."""
        first = self.verdict.split()[0]
        return {"FAILED": FAILED, "NO": NO_DATA, "PARTIAL": IN_PART}.get(first, DONE)

    def to_json(self) -> dict[str, Any]:
        """For --json."""
        plain = {
            name: getattr(self, name)
            for name in ("date", "verdict", "revision", "rows", "flagged", "written")
        }
        return {"path": str(self.path), **plain}

    def headline(self) -> str:
        """Date, verdict and count, on one line; where nothing was scored, date and verdict."""
        return headline(self.date, self.verdict, self.flagged, self.rows)

    def to_text(self) -> str:
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
    top_rows = (
        pq.read_table(outliers, columns=["row"]).column("row").to_pylist()
        if summary.rows
        else []
    )
    return NightResult(
        date=place.date,
        verdict=summary.verdict,
        revision=revision,
        rows=summary.rows,
        flagged=summary.flagged,
        path=place.report(revision),
        written=written,
        top_rows=tuple(top_rows),
        promise=summary.promise,
    )


ORDER = (
    FAILED,
    IN_PART,
    NO_DATA,
    DONE,
)  # the exit code of a range is the first of these that occurred


@dataclass(frozen=True)
class NightsResult:
    """Results by date; a date that could not be scored has its error instead."""

    results: Mapping[str, NightResult | Exception]

    @property
    def exit_code(self) -> int:
        """The exit code of the range."""
        codes = {
            exit_code(each) if isinstance(each, Exception) else each.exit_code
            for each in self.results.values()
        }
        return next((code for code in ORDER if code in codes), max(codes))

    def to_json(self) -> dict[str, Any]:
        """For --json: those of the one night, or of each under `nights`."""
        found = [_night_json(date, each) for date, each in self.results.items()]
        return {**found[-1], "nights": found} if len(found) > 1 else found[-1]

    def to_text(self) -> str:
        """For a terminal."""
        return "\n".join(
            each.to_text() if isinstance(each, NightResult) else f"{date}: {each}"
            for date, each in self.results.items()
        )


def _night_json(date: str, result: NightResult | Exception) -> dict[str, Any]:
    if isinstance(result, NightResult):
        return {**result.to_json(), "code": result.exit_code}
    return {"date": date, "error": str(result), "code": exit_code(result)}
