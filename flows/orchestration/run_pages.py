"""What an operator reads in the pages of runs, as markdown.

The headline first, then why, then the figures, then where the rest is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq

from flows.encoding.encode import EncodeResult
from flows.jobs.settings import Job
from flows.orchestration.markdown import facts_table, place, plain, short, table
from flows.scoring.links import index_link, report_link
from flows.scoring.result import NightResult, NightsResult
from flows.training.train import TrainResult
from storage.files.manifest import read_manifest
from storage.pages.figures import error_plot, loss_curve, score_histogram
from storage.units import format_bytes

MOST_ROWS = 10  # in the text; a table artifact holds more
MOST_SHARDS = 5
MOST_FAILED = 20


class Page(NamedTuple):
    """A headline, which Prefect shows wherever the artifact is listed, and the text behind it."""

    headline: str
    text: str


def training_page(result: TrainResult) -> Page:
    """The gate's verdict with its figures, the loss curve, and what the calibration is worth."""
    word = "promoted" if result.promoted else "REFUSED"
    parts = [
        f"# {'Promoted' if result.promoted else 'Refused'}: model {result.model_id}",
        plain(f"{result.why[0].upper()}{result.why[1:]}."),
        *gate_checks(result),
        "## Loss",
        f"![loss per epoch]({loss_curve(result.train_losses, result.validation_losses)})",
        facts_table([("clean rows", f"{result.rows:,}"), *result.figures.items()]),
        "## Calibration",
        f"> {result.promise}",
        *([f"**Look:** {result.warning}."] if result.warning else []),
        facts_table(result.calibration.items()),
        f"Training report: `{result.path / 'training.html'}`",
    ]
    return Page(f"Model {result.model_id} {word}: {result.why}", "\n\n".join(parts))


def gate_checks(result: TrainResult) -> Iterator[str]:
    """What the gate asked, where there was a model in force to compare with.

    A list, since its lines are longer than a table shows.
    """
    if result.checks:
        yield "## Beside the model in force"
        yield "\n".join(
            f"- {'passed' if check.passed else '**refused**'}: {plain(f'{check.what} {check.found}; allowed: {check.allowed}')}"
            for check in result.checks
        )


def store_page(result: EncodeResult) -> Page:
    """What the store costs, what it loses, the bound and the contest, and the shards with the largest errors."""
    report = result.report
    size, ratio, loss = report["bytes"], report["ratio"], report["loss"]
    held = "".join(
        f", {name} {value:.4g} {held_word(report)}"
        for name, value in (report["bound"] or {}).get("asked", {}).items()
    )
    headline = (
        f"{report['rows']:,} rows in {format_bytes(size['store'])}, {ratio['source']:.3g} times smaller than the source, "
        f"RMSE {short(loss['rmse'])}, largest error {short(loss['largest'])}{held}"
    )
    parts = [
        f"# {ratio['source']:.3g} times smaller",
        *([] if result.written else ["Nothing new: the store was already there."]),
        table(
            ("", "bytes", "the store is smaller by"),
            [
                ("**this store, all counted**", f"**{format_bytes(size['store'])}**", ""),
                ("source as it is", format_bytes(size["source"]), f"{ratio['source']:.3g} ×"),
                ("source as float32", format_bytes(size["float32"]), f"{ratio['float32']:.3g} ×"),
                (
                    "source without loss (zstd)",
                    format_bytes(size["lossless"]),
                    f"{ratio['lossless']:.3g} ×",
                ),
                (
                    "source, decoder not counted",
                    format_bytes(size["source"]),
                    f"{ratio['source_without_model']:.3g} ×",
                ),
            ],
            "lrr",
        ),
        "## What is lost",
        facts_table(loss_rows(report)),
        *error_picture(report),
        "## What is in it",
        facts_table(content_rows(report)),
        *contest_table(report),
        *worst_shards(result),
        f"Size report: `{result.path / 'size_report.html'}`",
    ]
    return Page(headline if result.written else f"Nothing new: {headline}", "\n\n".join(parts))


def held_word(report: Mapping[str, Any]) -> str:
    """Whether the bound was held, on all that was read back."""
    return "held" if report["bound"]["held"] else "NOT HELD"


def loss_rows(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """RMSE, largest error, and the bound asked for, each with the share of the range, or of the bound, that it takes."""
    loss, bound = report["loss"], report["bound"]
    yield (
        "root mean square error",
        f"{short(loss['rmse'])}{share(loss['rmse_of_range'], 'the range')}",
    )
    yield "largest error", f"{short(loss['largest'])}{share(loss['largest_of_range'], 'the range')}"
    yield (
        "99.9 % of values within",
        f"{short(loss['p999'])}{share(loss['p999_of_range'], 'the range')}",
    )
    if not bound:
        yield "error bound", "none was asked for"
        return
    for name, value in bound["asked"].items():
        used = bound["rmse_of_bound"] if name == "max_rmse" else bound["largest_of_bound"]
        yield plain(name), f"{short(value)}, **{held_word(report)}**{share(used, 'it used')}"


def error_picture(report: Mapping[str, Any]) -> Iterator[str]:
    """Error against ratio, as it was measured on a few rows."""
    curve = report.get("error_against_ratio")  # a store that was there already may be older
    if curve:
        yield f"![RMSE against ratio]({error_plot(curve, report['loss']['rmse'], report['ratio']['source'])})"


def content_rows(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What decoding reads, what else is there, and from how many rows on the decoder pays."""
    for name in ("latents", "values", "decoder", "manifest"):
        if report["bytes"][name]:
            yield name, format_bytes(report["bytes"][name])
    for name, size in report["extras"].items():
        yield f"{name}, not needed for decoding", format_bytes(size)
    rows = report["break_even_rows"]
    yield "break-even with the lossless form", "never" if rows is None else f"{rows:,} rows"


def share(value: float | None, whole: str) -> str:
    """A share in words."""
    return "" if value is None else f" ({100 * value:.3g} % of {whole})"


def contest_table(report: Mapping[str, Any]) -> Iterator[str]:
    """The codecs that held the bound on the sample, the smallest first."""
    if report["contest"]:
        yield "## The codecs' contest"
        rows = [
            (plain(entry["codec"]), format_bytes(entry["bytes"]), f"{entry['ratio']:.3g} ×")
            for entry in report["contest"]
        ]
        yield table(("codec", "whole store, estimated", "smaller than the source"), rows, "lrr")


def shards_of(result: EncodeResult) -> list[dict[str, Any]]:
    """What the store's manifest says of its shards, the largest error first."""
    shards: list[dict[str, Any]] = read_manifest(result.path, "latents")["shards"]
    return sorted(shards, key=lambda shard: -shard["largest_error"])


def worst_shards(result: EncodeResult) -> Iterator[str]:
    """The shards with the largest errors, where there are several."""
    shards = shards_of(result)
    if len(shards) > 1:
        yield f"## The worst of {len(shards):,} shards"
        rows = [
            (each["index"], f"{each['start']:,} to {each['stop']:,}", short(each["largest_error"]))
            for each in shards[:MOST_SHARDS]
        ]
        yield table(("shard", "rows", "largest error"), rows, "rrr")


def night_page(job: Job, result: NightResult) -> Page:
    """Verdict and promise, how the night lies beside clean rows, the highest rows, what moved, and where the report is."""
    summary = json.loads((result.path / "summary.json").read_text(encoding="utf-8"))
    parts = [
        f"# {result.verdict}",
        *([] if result.written else ["Nothing new: this revision was already there."]),
        *counted(result, summary),
        f"> {plain(result.promise)}",
        "\n".join(f"- {plain(note)}" for note in summary["notes"]),
        *not_scored(summary),
        f"**Report:** {place(report_link(job, result))}",
        *histogram(summary),
        *highest_rows(result),
        *drift_words(summary),
        "## How it was judged",
        facts_table(
            [
                ("rule", f"{summary['rule']}, by {summary['score']}"),
                ("threshold", short(summary["threshold"])),
                ("calibration rows", f"{summary['calibration_rows']:,}"),
                ("model", f"`{summary['model_id']}`"),
                ("revision", result.revision),
            ]
        ),
    ]
    return Page(result.headline(), "\n\n".join(part for part in parts if part))


def counted(result: NightResult, summary: Mapping[str, Any]) -> Iterator[str]:
    """How many rows are flagged, beside what clean rows would give and the budget.

    Nothing without rows.
    """
    if summary["rows"]:
        usual = (
            f"clean rows would give {summary['expected']:.1f}, up to {summary['limit']:,}; "
            if summary["promises"]
            else ""
        )
        yield f"**{result.flagged:,} of {result.rows:,} rows flagged** ({usual}budget {summary['alert_budget']:,})"
    if summary["rows"] and summary.get(
        "strange_in_all"
    ):  # reports of earlier versions do not count them
        found, chance = summary["strange_in_all"], summary["strange_by_chance"]
        error = "relative error" if summary["score"] == "relative" else "error"
        yield f"The report also lists what the {error} alone would miss: {found:,} (of clean rows, {chance:.2g} by chance)."


def not_scored(summary: Mapping[str, Any]) -> Iterator[str]:
    """The shards that could not be read, and why."""
    failed = summary["failed_shards"]
    if failed:
        yield "## Not scored: flags are provisional"
        more = [f"- and {len(failed) - MOST_FAILED:,} more"] if len(failed) > MOST_FAILED else []
        yield "\n".join(
            [
                *(
                    f"- {plain(each['shard'])}: {plain(each['why'])}"
                    for each in failed[:MOST_FAILED]
                ),
                *more,
            ]
        )


def histogram(summary: Mapping[str, Any]) -> Iterator[str]:
    """Tonight's scores over those of clean rows; nothing where there are none."""
    picture = summary["histogram"]
    if summary["rows"] and sum(picture["calibration"]):
        edges, tonight, clean = (
            np.array(picture[name]) for name in ("edges", "tonight", "calibration")
        )
        yield f"![tonight's scores over those of clean rows]({score_histogram(edges, tonight, clean, summary['threshold'])})"


def highest_rows(result: NightResult) -> Iterator[str]:
    """The first rows of the ranking; those that are flagged stand first in it.

    Few columns: what is too wide is cut off in the page.
    """
    rows = outliers_of(result, MOST_ROWS)
    if rows:
        flagged = sum(row["flagged"] for row in rows)
        yield f"## The highest {len(rows)}, {'all' if flagged == len(rows) else flagged or 'none'} of them flagged"
        cells = [
            (row["rank"], plain(row["id"]), short(row["score"]), plain(main_cause(row)))
            for row in rows
        ]
        yield table(("rank", "row", "score", "cause"), cells, "rlrl")


def main_cause(row: Mapping[str, Any]) -> str:
    """What weighs most in a row's error, without what weighs less; the report has all of it."""
    return str(row["cause"]).partition("; ")[0]


def outliers_of(result: NightResult, most: int) -> list[dict[str, Any]]:
    """The first rows of outliers.parquet."""
    rows: list[dict[str, Any]] = (
        pq.read_table(result.path / "outliers.parquet").slice(0, most).to_pylist()
    )
    return rows


def drift_words(summary: Mapping[str, Any]) -> Iterator[str]:
    """Whether the bulk of the scores has moved, and, where it has, the features that moved most."""
    drift = summary["drift"]
    if not drift:
        return
    yield "## What has moved" if drift["alarm"] else "## Drift: none"
    yield f"Kolmogorov–Smirnov distance {drift['distance']:.3f}, {drift['moved']:.1%} of the bulk of the rows in other places."
    if drift["alarm"]:
        rows = [
            (plain(each["name"]), f"{each['mean']:+.2f}", f"{each['deviation']:.2f}")
            for each in drift["features"]
        ]
        yield table(("feature", "mean (clean: 0)", "deviation (clean: 1)"), rows, "lrr")


def nights_page(job: Job, nights: NightsResult) -> Page:
    """A line for each night that a run looked at, the newest first, and where the reports are."""
    ordered = sorted(nights.results.items(), reverse=True)
    text = table(
        ("data date", "verdict", "flagged", "rows", ""),
        [night_line(job, date, night) for date, night in ordered],
        "llrrl",
    )
    newest = headline_of(*ordered[0])
    page = f"{text}\n\nAll nights: {place(index_link(job))}"
    return Page(
        newest if len(ordered) == 1 else f"{len(ordered)} nights, the newest: {newest}", page
    )


def headline_of(date: str, night: NightResult | Exception) -> str:
    """One night in a line."""
    return night.headline() if isinstance(night, NightResult) else f"{date}: FAILED"


def night_line(job: Job, date: str, night: NightResult | Exception) -> Sequence[object]:
    """One night in the table."""
    if not isinstance(night, NightResult):
        return date, "**FAILED**", "–", "–", plain(night)
    link = report_link(job, night)
    shown = f"[{date}]({link})" if link.startswith("http") else date
    return (
        shown,
        night.verdict,
        f"{night.flagged:,}",
        f"{night.rows:,}",
        "" if night.written else "nothing new",
    )
