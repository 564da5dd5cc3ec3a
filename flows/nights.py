"""score for one data date or a range of them, and what a range comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.errors import DONE, EXPECTED, FAILED, IN_PART, NO_DATA, UsageError, exit_code
from flows.job_file import read_job
from flows.night_result import NightResult
from flows.places import dates_between, parse_date, yesterday
from flows.runs import runs

ORDER = (FAILED, IN_PART, NO_DATA, DONE)  # the exit code of a range is the first of these that occurred


@dataclass(frozen=True)
class NightsResult:
    """Results by date; a date that could not be scored has its error instead."""

    results: Mapping[str, NightResult | Exception]

    @property
    def code(self) -> int:
        """The exit code of the range."""
        codes = {exit_code(each) if isinstance(each, Exception) else each.code for each in self.results.values()}
        return next((code for code in ORDER if code in codes), max(codes))

    def facts(self) -> dict[str, Any]:
        """For --json: those of the one night, or of each under `nights`."""
        found = [
            each.facts() if isinstance(each, NightResult) else {"date": date, "error": str(each)} for date, each in self.results.items()
        ]
        return {**found[-1], "code": self.code, **({"nights": found} if len(found) > 1 else {})}

    def words(self) -> str:
        """For a terminal."""
        return "\n".join(each.words() if isinstance(each, NightResult) else f"{date}: {each}" for date, each in self.results.items())


def score_nights(job: str, *, date: str, since: str, to: str, prefect: bool | None, options: Mapping[str, Any]) -> NightsResult:
    """Score one date (yesterday where none is given) or all from `since` to `to`, oldest first.

    One date raises its error; in a range the other dates go on.
    """
    settings = read_job(Path(job), options["overrides"])
    if bool(since) != bool(to) or (since and date):
        raise UsageError("give --date, or both --from and --to")
    if not since:
        day = date or yesterday(settings).isoformat()
        return NightsResult({day: runs(prefect).score(job=job, date=day, **options)})
    own = runs(prefect)
    results: dict[str, NightResult | Exception] = {}
    for each in dates_between(parse_date(since), parse_date(to)):
        try:
            results[each.isoformat()] = own.score(job=job, date=each.isoformat(), **options)
        except EXPECTED as error:
            results[each.isoformat()] = error
    return NightsResult(results)
