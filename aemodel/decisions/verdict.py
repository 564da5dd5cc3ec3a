"""The verdict: one word for a night."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from aemodel.decisions.rules import Decision


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How much of a night was scored.

    shards_total: a broken file counts as one. files, files_broken: of the input.
    rows_unusable: rows of finished shards that could not be judged. sensors, sensors_lost: those of
    series, each entity's for itself, and how many of them lack values that clean rows have.
    """

    rows: int
    shards_done: int
    shards_total: int
    files: int = 0
    files_broken: int = 0
    rows_unusable: int = 0
    sensors: int = 0
    sensors_lost: int = 0


def judge_night(
    decision: Decision,
    coverage: Coverage,
    *,
    alert_budget: int,
    drifted: bool = False,
    known: int = 0,
) -> tuple[str, tuple[str, ...]]:
    """Return the most important verdict that applies, and the others as notes.

    known: flagged rows that are known to be normal, which no verdict counts.
    """
    flagged = decision.flagged - known
    verdicts = [*_coverage_verdicts(coverage)]
    if drifted:
        verdicts.append("DRIFT")
    if flagged > alert_budget:
        verdicts.append("FLOOD")
    if flagged > (decision.limit or 0):  # without a limit, every flag is to be reviewed
        verdicts.append(f"REVIEW {flagged}")
    first, *others = verdicts or ["OK"]
    return first, tuple(others)


def _coverage_verdicts(coverage: Coverage) -> Iterator[str]:
    done, total = coverage.shards_done, coverage.shards_total
    if total and not done:
        yield "FAILED"
    if not coverage.rows and done == total:
        yield "NO DATA"
    if 0 < done < total:
        yield f"PARTIAL {_parts_done(coverage)}"
    elif coverage.rows and coverage.rows_unusable:
        n_rows = coverage.rows + coverage.rows_unusable
        yield f"PARTIAL {coverage.rows:,} of {n_rows:,} rows"
    elif coverage.sensors_lost:
        seen = coverage.sensors - coverage.sensors_lost
        yield f"PARTIAL {seen:,} of {coverage.sensors:,} sensors"


def _parts_done(coverage: Coverage) -> str:
    """Count files where only broken ones are missing: a file may hold many shards, or one row."""
    if coverage.shards_total - coverage.shards_done == coverage.files_broken:
        return f"{coverage.files - coverage.files_broken:,} of {coverage.files:,} files"
    return f"{coverage.shards_done} of {coverage.shards_total}"
