"""The report of a night: a page for the analyst, and all its figures as files beside it.

report.html, outliers.parquet, outliers.csv, summary.json, evidence/rank-001.png …
manifest.json, run.json and history.svg are added by callers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from storage.files.atomic import write_beside, write_bytes, write_json
from storage.nights.night import Evidence, Night
from storage.nights.outliers import outlier_table, spreadsheet_table
from storage.nights.summary import NightSummary
from storage.pages import render
from storage.pages.figures import score_histogram
from storage.pages.nights.first_screen import (
    advice,
    clean_data,
    headline_sentence,
    largest_group,
    warnings,
)
from storage.pages.nights.history import LEGEND
from storage.pages.nights.worst import worst_cards
from storage.pages.pictures import is_picture, picture_strip

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
    write_json(folder / "summary.json", summarize(night, _flagged_ids(night, table)).to_json())
    shown = _write_evidence(folder, night, table.slice(0, min(night.top_n, MOST_SHOWN)))
    write_bytes(folder / "report.html", _page(night, shown, table.num_rows))


def _page(night: Night, shown: Sequence[Mapping[str, Any]], listed: int) -> bytes:
    """Render report.html. shown: the first rows of the table, with evidence, of `listed` rows."""
    return render(
        "report.html.j2",
        night=night,
        headline=headline_sentence(night),
        clean_data=clean_data(night),
        largest_group=largest_group(night),
        advice=advice(night.verdict),
        warnings=warnings(night),
        worst=worst_cards(night, shown),
        legend=LEGEND,
        outliers=shown,
        group_of={row: group.id for group in night.groups for row in group.rows},
        rank_of={each["row"]: each["rank"] for each in shown},
        listed=listed,
        plot=_plot(night),
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


def _plot(night: Night) -> str:
    if not night.rows or not night.calibration_counts.sum():
        return ""
    return score_histogram(night.edges, night.counts, night.calibration_counts, night.cut_score)


def _write_evidence(folder: Path, night: Night, shown: pa.Table) -> list[dict[str, Any]]:
    """Write the pictures of the shown rows, and return the rows with their evidence."""
    rows: list[dict[str, Any]] = []
    for outlier in shown.to_pylist():
        found = night.evidence.get(outlier["row"])
        evidence = _evidence_shown(night, folder, found, outlier["rank"]) if found else None
        rows.append({**outlier, "evidence": evidence})
    return rows


def _evidence_shown(night: Night, folder: Path, found: Evidence, rank: int) -> Mapping[str, object]:
    if not (night.pictures and is_picture(found.actual.shape)):
        return {"picture": "", "features": list(found.features)}
    picture = f"evidence/rank-{rank:03d}.png"
    both = np.concatenate([found.actual.ravel(), found.expected.ravel()]).astype(np.float64)
    low, high = float(np.nanmin(both)), float(np.nanmax(both))
    write_bytes(folder / picture, picture_strip(found.actual, found.expected, low, high))
    return {"picture": picture, "features": list(found.features)}
