"""Scores of a night of series: one Parquet file per shard, with the score of every row.

A row that no window covers has no score. Rows come by entity, then by time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.files.row_groups import RowGroupWriter

DICTIONARIES = ("file", "entity")
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


class PointWriter(RowGroupWriter):
    """Writes the scores of one shard; the bytes do not depend on how rows are chunked."""

    def __init__(
        self, path: Path, kinds: PointKinds, *, files: Sequence[str], entities: Sequence[str]
    ) -> None:
        encodings = {**ENCODINGS, "time": "DELTA_BINARY_PACKED" if kinds.timestamps else "PLAIN"}
        super().__init__(path, kinds.schema, dictionaries=DICTIONARIES, encodings=encodings)
        self._files, self._entities = pa.array(files), pa.array(entities)

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
        self._append_columns(columns)

    def _whole(self, group: pa.Table) -> pa.Table:
        """Return a row group whose dictionaries hold the names that occur in it, in their order."""
        for name in DICTIONARIES:
            place = group.schema.get_field_index(name)
            texts = group.column(place).cast(pa.string())
            group = group.set_column(place, name, texts.dictionary_encode().cast(NAMES))
        return group
