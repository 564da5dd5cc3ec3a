"""Results of queries as Parquet files: what cannot be read twice is written down first.

FOLDER/2026-11-22.parquet     the rows, in the order of the query
FOLDER/snapshot.json          its record; without one, the file does not count
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from storage.files.atomic import refusals, sha256_file, sync_file, sync_folder, write_json
from storage.files.manifest import check_format_version

RECORD = "snapshot.json"
FORMAT_VERSION = 1
MOST_GROUP_ROWS = 65_536
GROUP_BYTES = 32_000_000
VALUE_BYTES = 16  # of one value, assumed so that row groups do not depend on the values
LONG = 4  # times GROUP_BYTES of rows are written at once, even if the row group is small


@dataclass(frozen=True)
class SnapshotRecord:
    """The record of a snapshot.

    query: digest of the query. sha256: of the file. rows: their number. asked: for which data date
    the query ran last. in_use: whether the run that it was made for may resume.
    """

    query: str
    sha256: str
    rows: int
    asked: str
    in_use: bool


def snapshot_at(path: Path) -> SnapshotRecord | None:
    """Return the record of a snapshot; None if there is none."""
    record = path.with_name(RECORD)
    if not record.exists() or not path.exists():
        return None
    content = json.loads(record.read_text(encoding="utf-8"))
    check_format_version(record, content.pop("format_version"), FORMAT_VERSION)
    return SnapshotRecord(**content)


def note_snapshot(path: Path, snapshot: SnapshotRecord) -> None:
    """Write the record of a snapshot."""
    write_json(path.with_name(RECORD), {"format_version": FORMAT_VERSION, **asdict(snapshot)})


def write_snapshot(path: Path, batches: Iterator[pa.RecordBatch], *, query: str) -> SnapshotRecord:
    """Write the result of a query, at least one batch; the snapshot counts once it is noted.

    The caller holds the snapshot's lock. An earlier file with the same bytes stays as it is, so
    that its rows count as unchanged. Raises WorkspaceError.
    """
    earlier, beside = snapshot_at(path), path.with_name(f".{path.name}.tmp")
    with refusals(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = write_rows(beside, batches)
            digest = sha256_file(beside)
            if earlier is None or earlier.sha256 != digest:
                _replace(path, beside)
        finally:
            beside.unlink(missing_ok=True)
    return SnapshotRecord(query, digest, rows, asked="", in_use=True)


def _replace(path: Path, beside: Path) -> None:
    """Put a new file in place, without the record of the one before it."""
    path.with_name(RECORD).unlink(missing_ok=True)
    sync_file(beside)
    beside.replace(path)
    sync_folder(path.parent)


def write_rows(path: Path, batches: Iterator[pa.RecordBatch]) -> int:
    """Write batches, at least one, as a Parquet file, and return the number of rows.

    Row groups do not depend on how the rows come in batches, unless values are very long.
    """
    first = next(batches)
    group_rows = max(1, min(MOST_GROUP_ROWS, GROUP_BYTES // (VALUE_BYTES * first.num_columns)))
    rows: int = first.num_rows
    pending = pa.Table.from_batches([first])
    with pq.ParquetWriter(
        path, first.schema, compression="zstd", write_page_checksum=True
    ) as writer:
        for batch in batches:
            pending = pa.concat_tables([pending, pa.Table.from_batches([batch])])
            rows += batch.num_rows
            is_long = pending.nbytes > LONG * GROUP_BYTES
            whole = pending.num_rows if is_long else pending.num_rows // group_rows * group_rows
            if whole:
                writer.write_table(pending.slice(0, whole), row_group_size=group_rows)
                pending = pending.slice(whole).combine_chunks()
        if pending.num_rows:
            writer.write_table(pending, row_group_size=group_rows)
    return rows
