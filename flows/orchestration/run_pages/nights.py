"""The artifacts of scoring runs: one night in detail, or several nights in a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow.parquet as pq

from flows.errors import describe
from flows.jobs.settings import Job
from flows.orchestration.run_pages.markdown import (
    JsonObject,
    MarkdownArtifact,
    escape,
    escape_name,
    facts_table,
    format_number,
    link_or_path,
    markdown_table,
)
from flows.scoring.links import index_link, report_link
from flows.scoring.result import NightResult, NightsResult
from storage.pages.figures import score_histogram
from storage.pages.nights.first_screen import advice

MAX_ROWS = 10  # in the text; the table artifact holds more
MAX_FAILED = 20


def night_markdown(job: Job, result: NightResult) -> MarkdownArtifact:
    """Describe a night, verdict first."""
    parts = [part for part in _night_parts(job, result) if part]
    return MarkdownArtifact(result.headline(), "\n\n".join(parts))


def _night_parts(job: Job, result: NightResult) -> Iterator[str]:
    summary = json.loads((result.path / "summary.json").read_text(encoding="utf-8"))
    yield f"# {result.verdict}"
    yield f"**{advice(result.verdict)}** Report: {link_or_path(report_link(job, result))}"
    if not result.written:
        yield "Up to date: revision already exists."
    if summary["rows"]:
        yield _flagged_rows(result, summary)
        yield from _novel_rows(summary)
    yield f"> {escape(result.promise)}"
    yield "\n".join(f"- {escape(note)}" for note in summary["notes"])
    yield from _failed_shards(summary)
    yield from _histogram(summary)
    yield from _top_rows(result)
    yield from _drift(summary)
    yield "## Decision rule"
    yield facts_table(_rule_rows(result, summary))


def _flagged_rows(result: NightResult, summary: JsonObject) -> str:
    """Compare the number of flagged rows with the clean rate and the alert budget."""
    budget = f"budget {summary['alert_budget']:,}"
    if summary["promises"]:
        expected, limit = summary["expected"], summary["limit"]
        budget = f"expected of clean rows: {expected:.1f}, at most {limit:,}; {budget}"
    return f"**{result.counts}** ({budget})"


def _novel_rows(summary: JsonObject) -> Iterator[str]:
    """Yield the count of novel rows, which a small reconstruction error would hide."""
    if found := summary["novel_rows_total"]:
        error = "relative error" if summary["score"] == "relative" else "error"
        by_chance = f"{summary['strange_by_chance']:.2g} expected by chance"
        yield f"The report also lists {found:,} novel rows with a low {error} ({by_chance})."


def _failed_shards(summary: JsonObject) -> Iterator[str]:
    """Yield the shards that could not be read, and why."""
    failed = summary["failed_shards"]
    if not failed:
        return
    yield "## Not scored: flags are provisional"
    lines = [f"- {escape(shard['shard'])}: {escape(shard['why'])}" for shard in failed[:MAX_FAILED]]
    if len(failed) > MAX_FAILED:
        lines.append(f"- and {len(failed) - MAX_FAILED:,} more")
    yield "\n".join(lines)


def _histogram(summary: JsonObject) -> Iterator[str]:
    """Plot the night's scores over the calibration scores, if there are any."""
    counts = summary["histogram"]
    if not summary["rows"] or not sum(counts["calibration"]):
        return
    names = ("edges", "tonight", "calibration")
    edges, tonight, calibration = (np.array(counts[name]) for name in names)
    plot = score_histogram(edges, tonight, calibration, summary["threshold"])
    yield f"![scores of the night and of clean rows]({plot})"


def _top_rows(result: NightResult) -> Iterator[str]:
    """Yield the top of the ranking, in few columns, since Prefect cuts off wide tables."""
    rows = read_outliers(result, MAX_ROWS)
    if not rows:
        return
    n_flagged = sum(row["flagged"] for row in rows)
    flagged = "all" if n_flagged == len(rows) else str(n_flagged)
    what = "events" if result.events else f"rows, {flagged} flagged"
    yield f"## Top {len(rows)} {what}"
    cells = [
        (
            row["rank"],
            escape_name(row["id"]),
            format_number(row["score"]),
            escape_name(main_cause(row)),
        )
        for row in rows
    ]
    yield markdown_table(("rank", "row", "score", "cause"), cells, "rlrl")


def main_cause(row: JsonObject) -> str:
    """Return the feature that contributes most to a row's score; the report lists the others."""
    return str(row["cause"]).partition("; ")[0]


def read_outliers(result: NightResult, limit: int) -> list[JsonObject]:
    """Read the first rows of outliers.parquet."""
    table = pq.read_table(result.path / "outliers.parquet")
    rows: list[JsonObject] = table.slice(0, limit).to_pylist()
    return rows


def _drift(summary: JsonObject) -> Iterator[str]:
    """Yield the drift of the bulk of the scores, and the features behind it if it is an alarm."""
    drift = summary["drift"]
    if not drift:
        return
    yield "## Drift" if drift["alarm"] else "## Drift: none"
    distance, moved = drift["distance"], drift["moved"]
    yield f"Kolmogorov–Smirnov distance {distance:.3f}; {moved:.1%} of the bulk of the rows moved."
    if drift["alarm"]:
        yield _drifted_features(drift)


def _drifted_features(drift: JsonObject) -> str:
    rows = [
        (escape_name(feature["name"]), f"{feature['mean']:+.2f}", f"{feature['deviation']:.2f}")
        for feature in drift["features"]
    ]
    return markdown_table(("feature", "mean (clean: 0)", "deviation (clean: 1)"), rows, "lrr")


def _rule_rows(result: NightResult, summary: JsonObject) -> list[tuple[str, object]]:
    return [
        ("rule", f"{summary['rule']}, by {summary['score']}"),
        ("threshold", format_number(summary["threshold"])),
        ("calibration rows", f"{summary['calibration_rows']:,}"),
        ("model", f"`{summary['model_id']}`"),
        ("revision", result.revision),
    ]


def nights_markdown(job: Job, nights: NightsResult) -> MarkdownArtifact:
    """List the nights of one run, newest first, with links to their reports."""
    newest_first = sorted(nights.results.items(), reverse=True)
    head = ("data date", "verdict", "flagged", "rows", "")
    rows = [_night_cells(job, date, night) for date, night in newest_first]
    text = f"{markdown_table(head, rows, 'llrrl')}\n\nAll nights: {link_or_path(index_link(job))}"
    description = _one_line(*newest_first[0])
    if len(rows) > 1:
        description = f"{len(rows)} nights, newest: {description}"
    return MarkdownArtifact(description, text)


def _one_line(date: str, night: NightResult | Exception) -> str:
    return night.headline() if isinstance(night, NightResult) else f"{date}: FAILED"


def _night_cells(job: Job, date: str, night: NightResult | Exception) -> Sequence[str]:
    if not isinstance(night, NightResult):
        return date, "**FAILED**", "–", "–", escape(describe(night))
    link = report_link(job, night)
    shown = f"[{date}]({link})" if link.startswith("http") else date
    note = "" if night.written else "up to date"
    return shown, night.verdict, f"{night.flagged:,}", f"{night.rows:,}", note
