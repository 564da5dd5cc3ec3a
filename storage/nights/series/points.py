"""Scores of a night of series: one Parquet file per shard, with the score of every row.

A row that no window covers has no score. Rows come by entity, then by time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

GROUP_ROWS = 65_536
ENCODINGS = {
    "row": "DELTA_BINARY_PACKED",
    "time": "DELTA_BINARY_PACKED",
    "score": "BYTE_STREAM_SPLIT",
    "p_value": "BYTE_STREAM_SPLIT",
}
NAMES = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True)
class PointKinds:
    """How ids and times are kept: whether ids are text, and times nanoseconds since 1970 UTC."""

    text_ids: bool
    timestamps: bool

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the scores."""
        return pa.schema(
            [
                ("id", pa.string() if self.text_ids else pa.int64()),
                ("row", pa.int64()),
                ("file", NAMES),
                ("entity", NAMES),
                ("time", pa.timestamp("ns", "UTC") if self.timestamps else pa.float64()),
                ("score", pa.float64()),
                ("p_value", pa.float64()),
            ]
        )


@dataclass(frozen=True)
class Points:
    """Scores of consecutive rows (n,); ids are None if the row numbers are the ids.

    files, entities: places in lists of names. times: int64 nanoseconds, or numbers.
    """

    ids: NDArray[np.generic] | None
    rows: NDArray[np.int64]
    files: NDArray[np.int32]
    entities: NDArray[np.int32]
    times: NDArray[np.int64] | NDArray[np.float64]
    scores: NDArray[np.float64]
    p_values: NDArray[np.float64]


class PointWriter:
    """Writes the scores of one shard; the bytes do not depend on how rows are chunked."""

    def __init__(
        self, path: Path, kinds: PointKinds, *, files: Sequence[str], entities: Sequence[str]
    ) -> None:
        self._schema = kinds.schema
        self._files, self._entities = pa.array(files), pa.array(entities)
        self._pending = self._schema.empty_table()
        encodings = {**ENCODINGS, "time": "DELTA_BINARY_PACKED" if kinds.timestamps else "PLAIN"}
        self._writer = pq.ParquetWriter(
            path,
            self._schema,
            compression="zstd",
            use_dictionary=["file", "entity"],
            column_encoding=encodings,
            write_page_checksum=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._write(self._pending.num_rows)
        self._writer.close()

    def append(self, points: Points) -> None:
        """Add the scores of consecutive rows; NaN is written as null."""
        ids = points.rows if points.ids is None else points.ids.tolist()
        columns = [
            pa.array(ids, self._schema.field("id").type),
            pa.array(points.rows),
            pa.DictionaryArray.from_arrays(pa.array(points.files), self._files),
            pa.DictionaryArray.from_arrays(pa.array(points.entities), self._entities),
            pa.array(points.times).cast(self._schema.field("time").type),
            pa.array(points.scores, from_pandas=True),
            pa.array(points.p_values, from_pandas=True),
        ]
        added = pa.Table.from_arrays(columns, schema=self._schema)
        self._pending = pa.concat_tables([self._pending, added])
        self._write(self._pending.num_rows // GROUP_ROWS * GROUP_ROWS)

    def _write(self, count: int) -> None:
        """Write the first `count` pending rows, in row groups of GROUP_ROWS."""
        for start in range(0, count, GROUP_ROWS):
            group = self._pending.slice(start, min(GROUP_ROWS, count - start))
            used = _with_own_names(group.unify_dictionaries().combine_chunks())
            self._writer.write_table(used, row_group_size=GROUP_ROWS)
        self._pending = self._pending.slice(count)


def _with_own_names(group: pa.Table) -> pa.Table:
    """Return a row group whose dictionaries hold the names that occur in it, in their order."""
    for name in ("file", "entity"):
        place = group.schema.get_field_index(name)
        texts = group.column(place).cast(pa.string())
        group = group.set_column(place, name, texts.dictionary_encode().cast(NAMES))
    return group
