"""Columns of a table that are no numbers: a store keeps them exactly, beside latents or values.

columns-00000.parquet   these columns of a shard, in the Arrow types of the source; in both formats
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from storage.latents.shard import Readable, Reader, reading
from storage.sources.columns.kinds import levels_of
from storage.sources.columns.schema import Schema, StoredColumns

SUFFIX = ".parquet"
GROUP_ROWS = 32_768  # reading one row unpacks its group; smaller groups take more bytes
LEVEL = 12  # of zstd
ENCODINGS = ("", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT")  # of whole numbers; '': dictionary
BITS = {2: pa.int16(), 4: pa.int32(), 8: pa.int64()}


def columns_to_json(columns: StoredColumns) -> dict[str, object]:
    """Return what the manifest lists of the source: its values, and the exact columns if any.

    arrow: the Arrow schema of the exact columns as an IPC message, in base64.
    """
    content = columns.values.to_json()
    if columns.exact is None:
        return content
    exact = {
        "order": list(columns.names),
        "types": dict(zip(columns.exact.names, map(str, columns.exact.types), strict=True)),
        "arrow": base64.b64encode(columns.exact.serialize().to_pybytes()).decode(),
    }
    exact |= {"entity": columns.entity} if columns.entity else {}
    return {**content, "exact": exact}


def columns_from_json(content: Mapping[str, Any]) -> StoredColumns:
    """Rebuild what `columns_to_json` gave, without the places among features."""
    values = Schema.from_json(content)
    if "exact" not in content:
        return StoredColumns(values)
    exact = content["exact"]
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(exact["arrow"])))
    return StoredColumns(values, (), tuple(exact["order"]), schema, exact.get("entity", ""))


def entity_keys(
    exact: Iterable[pa.RecordBatch], columns: StoredColumns, n_rows: int
) -> NDArray[np.float64]:
    """Return the key (n_rows,) of each row's entity, by its exact columns; NaN without entities."""
    if not columns.entity:
        return np.full(n_rows, np.nan)
    found = [levels_of(batch.column(columns.entity))[0] for batch in exact]
    return np.concatenate([np.empty(0), *found])


def write_columns(path: Path, table: pa.Table) -> None:
    """Write the exact columns of a shard; the same rows give the same bytes."""
    whole = table.combine_chunks()
    first = whole.slice(0, GROUP_ROWS)
    chosen = {name: _smallest(first.select([name])) for name in whole.column_names}
    _write(path, whole, {name: encoding for name, encoding in chosen.items() if encoding})


def _smallest(column: pa.Table) -> str:
    """Return the encoding that packs a table of one column best."""
    kind = column.schema.types[0]
    if not (pa.types.is_temporal(kind) or pa.types.is_integer(kind)):
        return ""
    return min(ENCODINGS, key=lambda encoding: _packed_size(column, encoding))


def _packed_size(column: pa.Table, encoding: str) -> int:
    packed = io.BytesIO()
    _write(packed, column, {column.column_names[0]: encoding} if encoding else {})
    return len(packed.getvalue())


def _write(where: Path | io.BytesIO, table: pa.Table, encodings: Mapping[str, str]) -> None:
    """Write a table; encodings: of some columns, the others have dictionaries."""
    pq.write_table(
        table,
        where,
        compression="zstd",
        compression_level=LEVEL,
        use_dictionary=[name for name in table.column_names if name not in encodings] or False,
        column_encoding=dict(encodings),
        row_group_size=GROUP_ROWS,
        write_page_checksum=True,
        write_statistics=False,
    )


class ColumnsReader(Reader):
    """Reads the exact columns of one shard; `file` is at `path` or in memory.

    The last row group stays in memory, because the next row is often near.
    """

    def __init__(self, path: Path, file: Readable, schema: pa.Schema) -> None:
        super().__init__(path, lambda: pq.ParquetFile(file, page_checksum_verification=True))
        self._schema = schema
        self._kept: tuple[int, pa.Table] = -1, schema.empty_table()

    def read(self, start: int, stop: int) -> pa.Table:
        """Return the rows [start, stop), counted inside the shard. Raises DamagedError."""
        groups = range(start // GROUP_ROWS, -(-stop // GROUP_ROWS))
        tables = [self._schema.empty_table(), *map(self._group, groups)]
        return pa.concat_tables(tables).slice(start % GROUP_ROWS, stop - start)

    def _group(self, index: int) -> pa.Table:
        if self._kept[0] != index:
            with reading(self._path):
                table = self._file.read_row_group(index, use_threads=False)
                self._kept = index, table.cast(self._schema)
        return self._kept[1]


def same_values(found: pa.Table, expected: pa.Table) -> bool:
    """Return whether two tables hold the same, bit for bit."""
    if not found.schema.equals(expected.schema):
        return False
    pairs = zip(found.columns, expected.columns, strict=True)
    return all(_plain(column).equals(_plain(other)) for column, other in pairs)


def source_bytes(table: pa.Table | None) -> int:
    """Return the bytes of the values: of a text its UTF-8, of others the width of their type."""
    return 0 if table is None else sum(_value_bytes(_plain(column)) for column in table.columns)


def _value_bytes(column: pa.ChunkedArray) -> int:
    try:
        bits: int = column.type.bit_width
        return -(-bits * len(column) // 8)
    except ValueError:  # of variable width
        return int(pc.sum(pc.binary_length(column.cast(pa.large_string()))).as_py() or 0)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column without dictionary, and floats as their bits: NaN equals nothing."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not pa.types.is_floating(column.type):
        return column
    bits = BITS[column.type.bit_width // 8]
    return pa.chunked_array([chunk.view(bits) for chunk in column.chunks], bits)
