"""Results of scoring one night or several, for the terminal, `--json`, alerts and run pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.errors import DONE, FAILED, IN_PART, NO_DATA, describe, exit_code
from flows.jobs.workspace import near
from storage.nights.revisions import NightPlace
from storage.nights.summary import WINDOWS

# The exit code of several nights is the first of these that occurred.
WORST_FIRST = (FAILED, IN_PART, NO_DATA, DONE)
CALM = ("OK", "REVIEW")  # by the first word; any other verdict calls for an operator
VERDICT_CODES = {"FAILED": FAILED, "NO": NO_DATA, "PARTIAL": IN_PART}  # by the first word


@dataclass(frozen=True)
class NightResult:
    """The newest revision of a night.

    path: folder of its report. written: whether this run published it. top_rows: row numbers in
    the report, best first. promise: what the rule promises, or why nothing was scored. events:
    whether events were flagged, not rows. known_normal: flagged rows that no verdict counts.
    """

    date: str
    verdict: str
    revision: int
    rows: int
    flagged: int
    path: Path
    written: bool
    top_rows: tuple[int, ...]
    promise: str
    events: bool = False
    known_normal: int = 0

    @property
    def exit_code(self) -> int:
        """The exit code: 0 done, 1 failed, 3 no data, 4 done in part."""
        return VERDICT_CODES.get(self.verdict.split()[0], DONE)

    @property
    def calm(self) -> bool:
        """Whether the verdict is for analysts alone: OK or REVIEW."""
        return self.verdict.split()[0] in CALM

    def to_json(self) -> dict[str, object]:
        """Return the JSON object for --json."""
        return {
            "path": str(self.path),
            "date": self.date,
            "verdict": self.verdict,
            "revision": self.revision,
            "rows": self.rows,
            "flagged": self.flagged,
            "known_normal": self.known_normal,
            "written": self.written,
        }

    def headline(self) -> str:
        """Return date, verdict and count on one line; no count if nothing was scored."""
        return f"{self.date}: {self.verdict}{f', {self.counts}' if self.rows else ''}"

    @property
    def counts(self) -> str:
        """What was flagged: '3 of 1,440 rows flagged', or '3 events in 1,440 rows'."""
        counts = flagged_counts(self.flagged, self.rows, events=self.events)
        return f"{counts}, {self.known_normal:,} known normal" if self.known_normal else counts

    def to_text(self) -> str:
        """Return the text for a terminal."""
        known = "" if self.written else " (up to date: revision already exists)"
        return f"{self.headline()}{known}\n  {self.promise}\n  {near(self.path / 'report.html')}"


def flagged_counts(flagged: int, rows: int, *, events: bool) -> str:
    """Say how many rows or events were flagged; see `NightResult.counts`."""
    if not events:
        return f"{flagged:,} of {rows:,} rows flagged"
    return f"{flagged:,} {'event' if flagged == 1 else 'events'} in {rows:,} rows"


def read_result(place: NightPlace, revision: int, *, written: bool) -> NightResult:
    """Read the result of a published revision."""
    summary = place.summary(revision)
    folder = place.report(revision)
    return NightResult(
        date=place.date,
        verdict=summary.verdict,
        revision=revision,
        rows=summary.rows,
        flagged=summary.flagged,
        path=folder,
        written=written,
        top_rows=_reported_rows(folder) if summary.rows else (),
        promise=summary.promise,
        events=summary.score == WINDOWS,
        known_normal=summary.known_normal,
    )


def _reported_rows(folder: Path) -> tuple[int, ...]:
    import pyarrow.parquet as pq  # late: status and monitors do not need it

    table = pq.read_table(folder / "outliers.parquet", columns=["row"])
    return tuple(table.column("row").to_pylist())


@dataclass(frozen=True)
class NightsResult:
    """Results by date; an error takes the place of a result if a date could not be scored."""

    results: Mapping[str, NightResult | Exception]

    @property
    def exit_code(self) -> int:
        """The exit code for all nights."""
        codes = {_code(result) for result in self.results.values()}
        return next((code for code in WORST_FIRST if code in codes), max(codes))

    @property
    def calm(self) -> bool:
        """Whether every night was scored and is calm."""
        results = self.results.values()
        return all(isinstance(result, NightResult) and result.calm for result in results)

    @property
    def up_to_date(self) -> bool:
        """Whether every night was scored by an earlier run."""
        results = self.results.values()
        scored = (isinstance(result, NightResult) and not result.written for result in results)
        return self.exit_code == DONE and all(scored)

    def to_json(self) -> dict[str, object]:
        """Return the JSON object of the last night; several nights are listed under `nights`."""
        nights = [_night_json(date, result) for date, result in self.results.items()]
        return {**nights[-1], "nights": nights} if len(nights) > 1 else nights[-1]

    def to_text(self) -> str:
        """Return the text for a terminal."""
        return "\n".join(_night_text(date, result) for date, result in self.results.items())


def _code(result: NightResult | Exception) -> int:
    return result.exit_code if isinstance(result, NightResult) else exit_code(result)


def _night_json(date: str, result: NightResult | Exception) -> dict[str, object]:
    if isinstance(result, NightResult):
        return {**result.to_json(), "code": result.exit_code}
    return {"date": date, "error": describe(result), "code": exit_code(result)}


def _night_text(date: str, result: NightResult | Exception) -> str:
    return result.to_text() if isinstance(result, NightResult) else f"{date}: {describe(result)}"
