"""Sources whose rows form series, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from storage.sources import Reading
from storage.sources.series.opening import open_series
from storage.sources.series.order import SeriesOrder, SortSpace
from storage.sources.series.source import SeriesSource

MACHINES = SeriesOrder("at", "machine")
START = datetime(2026, 11, 22)


class Read(NamedTuple):
    """Rows of a source in series order, as lists."""

    entities: list[str]
    times: list[float]
    numbers: list[int]
    starts: list[bool]
    context: list[bool]
    values: list[object]
    ids: list[object]
    usable: list[bool]


def seconds(*offsets: float) -> pa.TimestampArray:
    """Times so many seconds after START."""
    times = [None if each is None else START + timedelta(seconds=float(each)) for each in offsets]
    return pa.array(times, pa.timestamp("us"))


def write(path: Path, columns: Mapping[str, object], *, rows_in_group: int = 65_536) -> Path:
    """Write a Parquet file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(dict(columns)), path, row_group_size=rows_in_group)
    return path


def machines(names: Sequence[str | None], offsets: Sequence[float | None]) -> dict[str, object]:
    """A table in which row i has the value i."""
    values = np.arange(len(names), dtype=np.float32)
    return {"machine": pa.array(names, pa.string()), "at": seconds(*offsets), "value": values}


def opened(
    path: Path, order: SeriesOrder = MACHINES, *, memory: int = 10**8, **how: object
) -> SeriesSource:
    """Open a source with its work folder beside it."""
    reading: Reading = how  # type: ignore[assignment]  # what tests pass on
    return open_series(path, order, SortSpace(path.parent / "work", memory), **reading)


def read(
    source: SeriesSource, start: int = 0, stop: int | None = None, *, max_rows: int = 3
) -> Read:
    """Read rows in small chunks; times in seconds after START, or as they are."""
    chunks = list(source.chunks(start, stop, max_rows=max_rows))
    series = [chunk.series for chunk in chunks]
    names = np.array([*source.entities, None], object)

    def column(name: str) -> list[object]:
        return [value for each in series for value in getattr(each, name).tolist()]

    ticks, first = source.ticks, START.timestamp() if source.ticks > 1 else 0
    offset = (START - datetime(1970, 1, 1)).total_seconds() if first else 0
    return Read(
        [names[code] for each in series for code in each.entities],
        [time / ticks - offset for time in column("times")],
        [number for chunk in chunks for number in chunk.row_numbers.tolist()],
        column("starts"),
        column("context"),
        [value for chunk in chunks for value in chunk.rows.reshape(len(chunk.rows), -1).tolist()],
        [each for chunk in chunks if chunk.ids is not None for each in chunk.ids.tolist()],
        [
            value
            for chunk in chunks
            for value in (
                [True] * len(chunk.rows) if chunk.usable is None else chunk.usable.tolist()
            )
        ],
    )
