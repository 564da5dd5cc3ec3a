"""The report of a night: a page for the analyst, and every number of it in a file beside.

report.html, outliers.parquet, outliers.csv, summary.json, evidence/rank-001.png …, manifest.json
run.json
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from storage.files.atomic import write_beside, write_bytes, write_json
from storage.nights.changes import Changes
from storage.nights.scores import SCORES
from storage.pages import render
from storage.pages.figures import score_histogram
from storage.pages.pictures import is_picture, picture_strip

FORMAT_VERSION = 1
MOST_SHOWN = 200
COLUMNS = (
    "rank",
    "id",
    "file",
    "row",
    "score",
    *SCORES,
    "p_value",
    "flagged",
    "cause",
    "p_range",
    "p_latent",
    "p_residual",
)
SIDES = ("range", "latent", "residual")
FORMULA = r"^[=+\-@\t\r]"  # how a cell begins that a spreadsheet would run
PLAIN_NUMBER = r"^[+-]?[0-9]+(\.[0-9]+)?$"


@dataclass(frozen=True)
class Evidence:
    """Why one row stands out: its cause in words, the heaviest features, the row as it is and as the network gives it back.

    sides: p-values by range, latent and residual; empty without calibration rows.
    """

    cause: str
    features: Sequence[Mapping[str, Any]]
    actual: NDArray[Any]
    expected: NDArray[Any]
    sides: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Strange:
    """A row that the ranking by error passes over, though it lies farther from all clean rows than any calibration row."""

    id: str
    file: str
    row: int
    novelty: float
    error: float
    evidence: Evidence

    def to_json(self) -> dict[str, Any]:
        """For summary.json."""
        plain = {name: getattr(self, name) for name in ("id", "file", "row", "novelty", "error")}
        return {**plain, **{f"p_{side}": value for side, value in self.evidence.sides.items()}}

    @property
    def words(self) -> str:
        """Which side speaks against it most."""
        says = {
            "range": "outside the clean range",
            "latent": "its latents are unlike any clean row's",
            "residual": "badly rebuilt",
        }
        least = min(self.evidence.sides, key=lambda side: self.evidence.sides[side], default="")
        return says.get(least, "far from all clean rows")


@dataclass(frozen=True, kw_only=True)
class Night:
    """Everything that the report of one revision says.

    Plain values: what stands here may depend on the input and the model alone.
    """

    job: str
    date: str
    revision: int
    verdict: str
    notes: Sequence[str] = ()
    rows: int
    flagged: int
    expected: float | None
    limit: int | None
    rule: str
    promise: str
    promises: bool
    cut_score: float | None
    score_name: str = "error"
    calibration_rows: int
    model_id: str
    input_digest: str
    settings_digest: str
    alert_budget: int
    shards_done: int
    shards_total: int
    failed: Sequence[tuple[str, str]] = ()
    edges: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    counts: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    calibration_counts: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    evidence: Mapping[int, Evidence] = field(default_factory=dict)
    strange: Sequence[Strange] = ()
    strange_in_all: int = 0
    drift: Mapping[str, Any] = field(default_factory=dict)
    shown: int = 100
    checks: Mapping[str, str] = field(default_factory=dict)
    changes: Changes | None = None
    command: str = ""

    @property
    def strange_by_chance(self) -> float:
        """How many of as many clean rows would, on average, lie farther out than each of the calibration rows."""
        return self.rows / (self.calibration_rows + 1)

    @property
    def complete(self) -> bool:
        """Whether every shard was scored."""
        return self.shards_done == self.shards_total and not self.verdict.startswith(
            ("FAILED", "NO DATA")
        )


def write_report(folder: Path, night: Night, picked: Any) -> None:
    """Write a report into `folder`.

    `picked`: the table of `storage.nights.scores.pick_scores`, the flagged and shown rows, best
    first.
    """
    table = outlier_table(night, picked)
    with write_beside(folder / "outliers.parquet") as beside:
        pq.write_table(table, beside, compression="zstd", write_page_checksum=True)
    with write_beside(folder / "outliers.csv") as beside:
        pa_csv.write_csv(spreadsheet_safe(table), beside)
    summary = night_summary(night, table)
    write_json(folder / "summary.json", summary)
    shown = table.slice(0, min(night.shown, MOST_SHOWN)).to_pylist()
    for outlier in shown:
        outlier["evidence"] = _write_evidence(folder, night, outlier)
    write_bytes(
        folder / "report.html",
        render(
            "report.html.j2",
            night=night,
            outliers=shown,
            summary=summary,
            plot=_plot(night),
            tone=tone(night.verdict),
        ),
    )


def outlier_table(night: Night, picked: Any) -> Any:
    """The columns of outliers.*: rank, what the scores say, and the cause."""
    n = picked.num_rows
    known = [night.evidence.get(row) for row in picked.column("row").to_pylist()]
    columns = {
        "rank": pa.array(np.arange(1, n + 1)),
        "id": picked.column("id").cast(pa.string()),
        "file": picked.column("file").cast(pa.string()),
        "row": picked.column("row").cast(pa.int64()),
        "score": picked.column(night.score_name),
        **{score: picked.column(score) for score in SCORES},
        "p_value": picked.column("p_value"),
        "flagged": picked.column("flagged").cast(pa.bool_()),
        "cause": pa.array([each.cause if each else "" for each in known], pa.string()),
        **{
            f"p_{side}": pa.array(
                [each.sides.get(side) if each else None for each in known], pa.float64()
            )
            for side in SIDES
        },
    }
    return pa.table({name: columns[name] for name in COLUMNS})


def spreadsheet_safe(table: Any) -> Any:
    """The same table with an apostrophe before every text that a spreadsheet would run as a formula."""
    for index, kind in enumerate(table.schema.types):
        if pa.types.is_string(kind):
            text = table.column(index)
            risky = pc.and_(
                pc.match_substring_regex(text, FORMULA),
                pc.invert(pc.match_substring_regex(text, PLAIN_NUMBER)),
            )
            table = table.set_column(
                index,
                table.schema.names[index],
                pc.if_else(risky, pc.binary_join_element_wise("'", text, ""), text),
            )
    return table


def night_summary(night: Night, table: Any) -> dict[str, Any]:
    """summary.json: the figures of the page, and what a later run compares with."""
    plain = (
        "job",
        "date",
        "revision",
        "verdict",
        "rows",
        "flagged",
        "expected",
        "limit",
        "rule",
        "promise",
        "promises",
        "calibration_rows",
    )
    keys = (
        "model_id",
        "input_digest",
        "settings_digest",
        "alert_budget",
        "shards_done",
        "shards_total",
    )
    ids = (
        table.column("id").filter(table.column("flagged")).slice(0, night.alert_budget).to_pylist()
    )
    return {
        "format_version": FORMAT_VERSION,
        **{name: getattr(night, name) for name in (*plain, *keys)},
        "notes": list(night.notes),
        "complete": night.complete,
        "threshold": night.cut_score
        if night.cut_score is not None and np.isfinite(night.cut_score)
        else None,
        "failed_shards": [{"shard": shard, "why": why} for shard, why in night.failed],
        "checks": dict(night.checks),
        "histogram": {
            "edges": night.edges.tolist(),
            "tonight": night.counts.tolist(),
            "calibration": night.calibration_counts.tolist(),
        },
        "score": night.score_name,
        "drift": dict(night.drift) or None,
        "strange": [each.to_json() for each in night.strange],
        "strange_in_all": night.strange_in_all,
        "strange_by_chance": night.strange_by_chance,
        "flagged_ids": ids,
        "changes": asdict(night.changes) if night.changes else None,
    }


def tone(verdict: str) -> str:
    """The colour of a verdict: good, warn or bad."""
    if verdict == "OK":
        return "good"
    return "warn" if verdict.startswith(("REVIEW", "DRIFT", "NO DATA")) else "bad"


def _plot(night: Night) -> str:
    if not night.rows or not night.calibration_counts.sum():
        return ""
    return score_histogram(night.edges, night.counts, night.calibration_counts, night.cut_score)


def _write_evidence(
    folder: Path, night: Night, outlier: Mapping[str, Any]
) -> dict[str, Any] | None:
    found = night.evidence.get(outlier["row"])
    if found is None:
        return None
    picture = ""
    if is_picture(found.actual.shape):
        picture = f"evidence/rank-{outlier['rank']:03d}.png"
        both = np.concatenate([found.actual.ravel(), found.expected.ravel()]).astype(np.float64)
        write_bytes(
            folder / picture,
            picture_strip(
                found.actual, found.expected, float(np.nanmin(both)), float(np.nanmax(both))
            ),
        )
    return {"picture": picture, "features": list(found.features)}
