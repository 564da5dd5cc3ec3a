"""Rows in series order on disk: written once, then read from any row on.

FOLDER/series-0123456789ab/rows.parquet   the rows: time, number, state, id, and values as bytes
FOLDER/series-0123456789ab/series.json    entities, rows of each, facts
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from storage.errors import DamagedError
from storage.files.atomic import publish_folder, refusals, write_json
from storage.files.locks import lock
from storage.files.manifest import check_format_version
from storage.sources.columns.schema import Schema
from storage.sources.series.order import SeriesIndex
from storage.sources.series.spool import Rows
from storage.sources.typed.parquet_files import open_parquet

ROWS, RECORD = "rows.parquet", "series.json"
FOLDERS, UNFINISHED = "series-*", ".series-*.tmp"
LOCK = ".sort.lock"  # held while rows are sorted into a folder, or snapshots in it deleted
KEPT = 2  # snapshots that were used last: those of a night and of the night before
FORMAT_VERSION = 1
MOST_GROUP_ROWS = 65_536
GROUP_BYTES = 16_000_000


@dataclass(frozen=True)
class SeriesSnapshot:
    """Rows in series order, in a file."""

    folder: Path
    schema: Schema
    n_rows: int
    index: SeriesIndex

    @property
    def group_rows(self) -> int:
        """Rows in each row group of the file, but the last."""
        return rows_in_group(self.schema)

    def read(self, start: int, stop: int, max_rows: int) -> Iterator[tuple[int, Rows]]:
        """Yield the rows from `start` up to `stop`, each time with the number of the first one.

        Their entities are not given. Raises SourceError if the file is damaged.
        """
        if start >= stop:
            return
        group = start // self.group_rows
        groups = range(group, (stop - 1) // self.group_rows + 1)
        row = group * self.group_rows
        with open_parquet(self.folder / ROWS) as opened:
            batches = opened.iter_batches(max_rows, row_groups=groups, use_threads=False)
            while (batch := _next_batch(self.folder / ROWS, batches)) is not None:
                first, last = max(start - row, 0), min(stop - row, batch.num_rows)
                if first < last:
                    yield row + first, _rows_of(batch.slice(first, last - first))
                row += batch.num_rows


def _next_batch(file: Path, batches: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
    try:
        return next(batches, None)
    except (OSError, pa.ArrowInvalid) as error:
        raise DamagedError(f"{file}: cannot be read ({error}); delete it and rerun") from error


def rows_in_group(schema: Schema) -> int:
    """Return the rows of a row group, which are read as one."""
    return max(1, min(MOST_GROUP_ROWS, GROUP_BYTES // schema.row_bytes))


def snapshot_folder(folder: Path, key: str) -> Path:
    """Return where the snapshot of a key lies in a folder."""
    return folder / f"series-{key[:12]}"


def find_snapshot(folder: Path, key: str) -> SeriesSnapshot | None:
    """Return the snapshot of a key in a folder; None if there is none. Raises DamagedError."""
    path = snapshot_folder(folder, key)
    if not (path / RECORD).exists():
        return None
    content: dict[str, Any] = json.loads((path / RECORD).read_text(encoding="utf-8"))
    check_format_version(path / RECORD, content["format_version"], FORMAT_VERSION)
    if content["key"] != key or (path / ROWS).stat().st_size != content["bytes"]:
        raise DamagedError(f"{path}: incomplete, or of other rows; delete the folder and rerun")
    schema = Schema.from_json(content["schema"])
    return SeriesSnapshot(path, schema, content["rows"], SeriesIndex.from_json(content))


def mark_used(snapshot: SeriesSnapshot) -> None:
    """Note that a snapshot is used now, so that others are deleted first."""
    with refusals(snapshot.folder):
        os.utime(snapshot.folder)


def delete_unfinished(folder: Path) -> None:
    """Delete what killed processes left. The caller holds the LOCK of the folder."""
    for path in folder.glob(UNFINISHED):
        shutil.rmtree(path, ignore_errors=True)


def delete_unused(folder: Path) -> None:
    """Delete all snapshots of a folder but the KEPT that were used last. Raises LockedError."""
    if not folder.exists():
        return
    with lock(folder / LOCK):
        delete_unfinished(folder)
        found = sorted(folder.glob(FOLDERS), key=lambda path: path.stat().st_mtime_ns)
        for path in found[:-KEPT]:
            shutil.rmtree(path, ignore_errors=True)


class SnapshotWriter:
    """Writes rows in series order beside, and publishes them at the end.

    The caller holds the lock of the snapshot. path: folder for temporary files, which is renamed.
    """

    def __init__(self, folder: Path, key: str, schema: Schema) -> None:
        self._key, self._schema, self._final = key, schema, snapshot_folder(folder, key)
        self.path = self._final.with_name(f".{self._final.name}.tmp")
        with refusals(folder):
            shutil.rmtree(self.path, ignore_errors=True)  # what a killed process left
            self.path.mkdir(parents=True)
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[Rows] = []
        self._held = self.n_rows = 0

    def append(self, rows: Rows) -> None:
        """Append the next rows; row groups do not depend on how rows come in pieces."""
        self._waiting.append(rows)
        self._held += len(rows.times)
        self.n_rows += len(rows.times)
        size = rows_in_group(self._schema)
        if self._held < size:
            return
        whole = Rows.join(self._waiting)
        *cuts, last = range(0, self._held + 1, size)
        for start, stop in pairwise([*cuts, last]):
            self._write(whole.take(slice(start, stop)))
        self._waiting, self._held = [whole.take(slice(last, None))], self._held - last

    def _write(self, rows: Rows) -> None:
        batch = _batch_of(rows)
        with refusals(self.path):
            if self._writer is None:
                self._writer = pq.ParquetWriter(
                    self.path / ROWS,
                    batch.schema,
                    compression="none",
                    use_dictionary=False,
                    write_page_checksum=True,
                )
            self._writer.write_batch(batch)

    def publish(self, index: SeriesIndex) -> None:
        """Put the snapshot in its place."""
        if self._held or self._writer is None:
            self._write(Rows.join(self._waiting))
        assert self._writer is not None, "a row group was written"
        with refusals(self.path):
            self._writer.close()
        record = {
            "format_version": FORMAT_VERSION,
            "key": self._key,
            "rows": self.n_rows,
            "bytes": (self.path / ROWS).stat().st_size,
            "schema": self._schema.to_json(),
            **index.to_json(),
        }
        write_json(self.path / RECORD, record)
        shutil.rmtree(self._final, ignore_errors=True)
        publish_folder(self.path, self._final)

    def close(self) -> None:
        """Delete temporary files."""
        if self._writer is not None:
            self._writer.close()
        shutil.rmtree(self.path, ignore_errors=True)


def _batch_of(rows: Rows) -> pa.RecordBatch:
    values = np.ascontiguousarray(rows.values)
    kind = pa.binary(values.shape[1])
    columns = {
        "time": pa.array(rows.times),
        "number": pa.array(rows.numbers),
        "state": pa.array(rows.states),
        "values": pa.FixedSizeBinaryArray.from_buffers(
            kind, len(values), [None, pa.py_buffer(values)]
        ),
    }
    if rows.ids is not None:
        columns["id"] = pa.array(rows.ids)
    return pa.record_batch(list(columns.values()), list(columns))


def _rows_of(batch: pa.RecordBatch) -> Rows:
    values = batch.column("values")
    width = values.type.byte_width
    content = np.frombuffer(values.buffers()[1], np.uint8).reshape(-1, width)
    ids = batch.column("id") if "id" in batch.schema.names else None
    return Rows(
        np.empty(0, np.int32),
        batch.column("time").to_numpy(),
        batch.column("number").to_numpy(),
        batch.column("state").to_numpy(),
        content[values.offset : values.offset + len(values)],
        ids if ids is None or pa.types.is_large_string(ids.type) else ids.to_numpy(),
    )
