"""The report of a night: a page for the analyst, and all its figures as files beside it.

report.html, outliers.parquet, outliers.csv, summary.json, signatures.json; callers add
manifest.json and run.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from storage.files.atomic import write_beside, write_bytes, write_json
from storage.nights.night import Night
from storage.nights.outliers import outlier_table, spreadsheet_table
from storage.nights.summary import NightLine, NightSummary
from storage.pages import render
from storage.pages.nights.comparison import compare_figures
from storage.pages.nights.first_screen import (
    advice,
    clean_data,
    headline_sentence,
    largest_group,
    warnings,
)
from storage.pages.nights.history import LEGEND, draw_strip, usual_night, usual_rows
from storage.pages.nights.latent_map import draw_map
from storage.pages.nights.listed import ListedRow, list_near, list_rows
from storage.pages.nights.score_plots import draw_chances, draw_scores
from storage.pages.nights.worst import worst_cards
from storage.pages.scripts import inline_script

SIGNATURES = "signatures.json"
SIGNATURES_VERSION = 1
MOST_SHOWN = 1_000  # rows in the page; the lists beside it hold all listed rows


def write_report(folder: Path, night: Night, picked: pa.Table) -> None:
    """Write a report into `folder`.

    picked: the listed rows, from `storage.nights.scores.pick_scores`, with `file_row`.
    """
    table = outlier_table(night, picked)
    with write_beside(folder / "outliers.parquet") as beside:
        pq.write_table(table, beside, compression="zstd", write_page_checksum=True)
    with write_beside(folder / "outliers.csv") as beside:
        pa_csv.write_csv(spreadsheet_table(table), beside)
    summary = summarize(night, _flagged_ids(night, table))
    write_json(folder / "summary.json", summary.to_json())
    write_json(folder / SIGNATURES, _signatures(night))
    shown = table.slice(0, min(night.top_n, MOST_SHOWN)).to_pylist()
    page = _page(night, shown, summary.line, unlisted=table.num_rows - len(shown))
    write_bytes(folder / "report.html", page)


def _signatures(night: Night) -> dict[str, object]:
    """Return what a label of a row needs: kinds of flagged rows, and hashes of listed rows."""
    kinds = [asdict(kind) for kind in night.kinds]
    content = {str(row): each for row, each in night.content.items()}
    return {"format_version": SIGNATURES_VERSION, "kinds": kinds, "content": content}


def _page(
    night: Night, shown: Sequence[Mapping[str, Any]], line: NightLine, *, unlisted: int
) -> bytes:
    """Render report.html. shown: the first rows of the table, without `unlisted` others."""
    listed = list_rows(night, shown)
    return render(
        "report.html.j2",
        night=night,
        headline=headline_sentence(night),
        clean_data=clean_data(night),
        largest_group=largest_group(night),
        advice=advice(night.verdict),
        warnings=warnings(night),
        worst=worst_cards(night, [each for each in shown if each["row"] not in night.known]),
        strip=None if night.in_sample else draw_strip(line, night.earlier),
        comparison=compare_figures(line, night.earlier, flagged="flagged"),
        usual_night="" if night.in_sample else usual_night(night.earlier),
        usual_rows=usual_rows(night.earlier),
        legend=LEGEND,
        listed=listed,
        unlisted=unlisted,
        look=_look(listed),
        rank_of={each["row"]: each["rank"] for each in shown},
        script=inline_script("report/table.js"),
        scores=draw_scores(night),
        chances=draw_chances(night),
        map=draw_map(night, {each["row"] for each in shown}),
        near=[
            ("Right below the cut", list_near(night, night.below)),
            ("Ordinary rows, drawn at random", list_near(night, night.ordinary)),
        ],
    )


def _flagged_ids(night: Night, table: pa.Table) -> list[str]:
    """Return the ids of the highest flagged rows, up to the alert budget."""
    ids: list[str] = table.filter(table.column("flagged")).column("id").to_pylist()
    return ids[: night.alert_budget]


def summarize(night: Night, flagged_ids: list[str]) -> NightSummary:
    """Reduce a night to the figures of summary.json."""
    return NightSummary(
        **night.figures(),
        notes=list(night.notes),
        complete=night.complete,
        threshold=night.threshold,
        failed_shards=[{"shard": shard, "why": why} for shard, why in night.failed],
        checks=dict(night.checks),
        histogram={
            "edges": night.edges.tolist(),
            "tonight": night.counts.tolist(),
            "calibration": night.calibration_counts.tolist(),
        },
        score=night.score_name,
        drift=dict(night.drift) or None,
        novel_rows=[each.to_json() for each in night.novel_rows],
        novel_rows_total=night.novel_rows_total,
        strange_by_chance=night.novel_by_chance,
        flagged_ids=flagged_ids,
        changes=asdict(night.changes) if night.changes else None,
        groups=[asdict(group) for group in night.groups],
    )


def _look(listed: Sequence[ListedRow]) -> str:
    """Return what the table shows rows by: 'picture', 'wave', or '' for their values alone."""
    if any(each.picture for each in listed):
        return "picture"
    return "wave" if any(each.wave for each in listed) else ""
