"""Prefect artifacts: what an operator reads in the run's page. The description is the headline; plots are SVG data URIs."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.alerts import report_link
from flows.encode import EncodeResult
from flows.job import Job
from flows.nights import NightsResult
from flows.score import NightResult
from flows.train import TrainResult
from storage.pages.figures import loss_curve, score_histogram
from storage.sources.sizes import format_bytes

MOST_ROWS = 100
MOST_SHARDS = 200


def publish_training(job: str, result: TrainResult) -> None:
    """Loss curve, gate's verdict, and where the model is."""
    headline = f"Model {result.model_id} {'promoted' if result.promoted else 'refused'}: {result.why}"
    plot = loss_curve(result.train_losses, result.validation_losses)
    text = [
        f"# {'Promoted' if result.promoted else 'Refused'}: model {result.model_id}",
        result.why.capitalize() + ".",
        f"![loss per epoch]({plot})",
        markdown_table([("clean rows", f"{result.rows:,}"), ("epochs", result.epochs), ("validation loss", short(result.validation_loss))]),
        f"Full report: `{result.path / 'training.html'}`",
    ]
    create_markdown_artifact("\n\n".join(text), key=f"{job}-train", description=headline)


def publish_store(job: str, result: EncodeResult) -> None:
    """Size report, and the shards with the largest errors."""
    size, ratio, loss = result.report["bytes"], result.report["ratio"], result.report["loss"]
    headline = f"{result.report['rows']:,} rows in {format_bytes(size['store'])}, {ratio['source']}x smaller than the source, RMSE {short(loss['rmse'])}"
    rows = [(f"source, {format_bytes(size['source'])}", f"{ratio['source']}x"), ("as float32", f"{ratio['float32']}x")]
    rows += [
        (f"without loss, {format_bytes(size['lossless'])}", f"{ratio['lossless']}x"),
        ("source, decoder not counted", f"{ratio['source_without_model']}x"),
    ]
    rows += [("RMSE", short(loss["rmse"])), ("largest error", short(loss["largest"]))]
    text = ["# Size report" if result.written else "# Nothing new: the store was already there", markdown_table(rows), f"`{result.path}`"]
    create_markdown_artifact("\n\n".join(text), key=f"{job}-encode", description=headline)
    worst = sorted(result.shards, key=lambda shard: -shard.largest_error)[:MOST_SHARDS]
    if worst:
        shown = [
            {
                "shard": each.index,
                "rows": f"{each.start:,} to {each.stop:,}",
                "in": format_bytes(each.bytes_in),
                "out": format_bytes(each.bytes_out),
                "largest error": short(each.largest_error),
            }
            for each in worst
        ]
        create_table_artifact(shown, key=f"{job}-shards", description=f"{len(result.shards)} shards, the largest error first")


def publish_night(job: Job, result: NightResult) -> None:
    """Verdict, promise, histogram, where the report is, and the highest rows as a table."""
    headline = f"{result.date}: {result.verdict}, {result.flagged:,} of {result.rows:,} rows flagged"
    summary = json.loads((result.path / "summary.json").read_text(encoding="utf-8"))
    rows = [
        ("rows", f"{result.rows:,}"),
        ("flagged", f"{result.flagged:,}"),
        ("alert budget", f"{summary['alert_budget']:,}"),
        ("rule", summary["rule"]),
        ("threshold", short(summary["threshold"])),
    ]
    rows += [("model", f"`{summary['model_id']}`"), ("revision", result.revision)]
    failed = [f"- {each['shard']}: {each['why']}" for each in summary["failed_shards"][:20]]
    text = [
        f"# {result.verdict}",
        f"> {result.promise}",
        *(f"- {note}" for note in summary["notes"]),
        *histogram(summary),
        markdown_table(rows),
        *failed,
        f"Full report: {as_link(report_link(job, result))}",
    ]
    if not result.written:
        text.insert(1, "Nothing new: this revision was already there.")
    create_markdown_artifact("\n\n".join(text), key=f"{job.name}-score", description=headline)
    table = pq.read_table(result.path / "outliers.parquet").slice(0, MOST_ROWS).to_pylist()
    if table:
        shown = [{name: readable(row[name]) for name in ("rank", "id", "score", "p_value", "flagged", "cause")} for row in table]
        create_table_artifact(shown, key=f"{job.name}-outliers", description=f"{headline}; the highest {len(shown)}")


def publish_nights(job: str, nights: NightsResult) -> None:
    """A line for each night that a run looked at; the headline is the last one."""
    lines = ["| data date | verdict | flagged | rows | report |", "|:--|:--|--:|--:|:--|"]
    for date, night in nights.results.items():
        if isinstance(night, NightResult):
            new = "" if night.written else " (nothing new)"
            lines.append(f"| {date} | {night.verdict}{new} | {night.flagged:,} | {night.rows:,} | `{night.path / 'report.html'}` |")
        else:
            lines.append(f"| {date} | FAILED | – | – | {' '.join(str(night).split()).replace('|', '/')} |")
    first, _, more = nights.words().partition("\n")
    headline = first if len(nights.results) == 1 else f"{len(nights.results)} nights, the oldest: {first}"
    create_markdown_artifact("\n".join(lines), key=f"{job}-nights", description=headline or more)


def histogram(summary: dict[str, Any]) -> list[str]:
    """Tonight's scores over those of clean rows, as markdown; nothing where there are none."""
    picture = summary["histogram"]
    if not summary["rows"] or not sum(picture["calibration"]):
        return []
    edges, tonight, clean = (np.array(picture[name]) for name in ("edges", "tonight", "calibration"))
    return [f"![tonight's scores over those of clean rows]({score_histogram(edges, tonight, clean, summary['threshold'])})"]


def as_link(place: str) -> str:
    """An address as a link; a path as it is, since browsers follow none from a web page."""
    return f"[{place}]({place})" if place.startswith("http") else f"`{place}`"


def markdown_table(rows: list[tuple[str, Any]]) -> str:
    """Two columns, the second to the right."""
    return "\n".join(["| what | value |", "|:--|--:|", *(f"| {name} | {value} |" for name, value in rows)])


def short(value: float | None) -> str:
    """Four digits; Prefect's tables show nothing at all where one value is NaN."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.4g}"


def readable(value: Any) -> Any:
    """A table cell: rounded numbers, nothing that JSON lacks."""
    return short(value) if isinstance(value, float) else "" if value is None else value
