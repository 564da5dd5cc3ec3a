"""Parquet files whose row groups, and so whose bytes, do not depend on how rows come in pieces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

GROUP_ROWS = 65_536


class RowGroupWriter:
    """Writes rows in groups of GROUP_ROWS."""

    def __init__(
        self,
        path: Path,
        schema: pa.Schema,
        *,
        dictionaries: Sequence[str],
        encodings: Mapping[str, str],
    ) -> None:
        self._schema = schema
        self._pending = schema.empty_table()
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            use_dictionary=[*dictionaries],
            column_encoding=dict(encodings),
            write_page_checksum=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._write_rows(self._pending.num_rows)
        self._writer.close()

    def _append_columns(self, columns: Sequence[pa.Array]) -> None:
        """Add rows, given as the columns of the schema."""
        added = pa.Table.from_arrays(list(columns), schema=self._schema)
        self._pending = pa.concat_tables([self._pending, added])
        self._write_rows(self._pending.num_rows // GROUP_ROWS * GROUP_ROWS)

    def _write_rows(self, count: int) -> None:
        """Write the first `count` pending rows, in row groups of GROUP_ROWS."""
        for start in range(0, count, GROUP_ROWS):
            group = self._pending.slice(start, min(GROUP_ROWS, count - start))
            # one group at a time, so that its dictionaries hold its own names only
            whole = self._whole(group.unify_dictionaries().combine_chunks())
            self._writer.write_table(whole, row_group_size=GROUP_ROWS)
        self._pending = self._pending.slice(count)

    def _whole(self, group: pa.Table) -> pa.Table:
        """Return a row group as it is written."""
        return group
