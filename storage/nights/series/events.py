"""The table of events: outliers.parquet and outliers.csv of a night of series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from storage.files.atomic import write_beside
from storage.nights.outliers import spreadsheet_table


@dataclass(frozen=True, kw_only=True)
class EventRow:
    """One event. id, row, file, file_row: of its highest row, in the input.

    start, end, peak: nanoseconds since 1970 UTC, or numbers. sensors: worst first.
    """

    id: str
    entity: str
    start: float
    end: float
    peak: float
    rows: int
    row: int
    file: str
    file_row: int
    score: float
    p_value: float
    sensors: Sequence[str]
    cause: str


def event_table(events: Sequence[EventRow], *, timestamps: bool) -> pa.Table:
    """Return the table of events, highest first."""
    time = pa.timestamp("ns", "UTC") if timestamps else pa.float64()
    moments = {
        name: pa.array([getattr(each, name) for each in events]).cast(time)
        if events
        else pa.array([], time)
        for name in ("start", "end", "peak")
    }
    columns = {
        "rank": pa.array(range(1, len(events) + 1), pa.int64()),
        "id": pa.array([each.id for each in events], pa.string()),
        "entity": pa.array([each.entity for each in events], pa.string()),
        **moments,
        "rows": pa.array([each.rows for each in events], pa.int64()),
        "file": pa.array([each.file for each in events], pa.string()),
        "row": pa.array([each.row for each in events], pa.int64()),
        "file_row": pa.array([each.file_row for each in events], pa.int64()),
        "score": pa.array([each.score for each in events], pa.float64()),
        "p_value": pa.array([each.p_value for each in events], pa.float64()),
        "flagged": pa.array([True] * len(events), pa.bool_()),
        "sensors": pa.array([", ".join(each.sensors) for each in events], pa.string()),
        "cause": pa.array([each.cause for each in events], pa.string()),
    }
    return pa.table(columns)


def write_events(folder: Path, table: pa.Table) -> None:
    """Write outliers.parquet and outliers.csv."""
    with write_beside(folder / "outliers.parquet") as beside:
        pq.write_table(table, beside, compression="zstd", write_page_checksum=True)
    with write_beside(folder / "outliers.csv") as beside:
        pa_csv.write_csv(spreadsheet_table(table), beside)
