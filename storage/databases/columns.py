"""Columns of a query's result as a Parquet file holds them, and as the network reads them."""

from __future__ import annotations

from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import SourceError

NUMERIC = "numeric"  # PostgreSQL's type of decimals, which the driver hands over as text


def storable_batch(batch: pa.RecordBatch, *, id_column: str) -> pa.RecordBatch:
    """Return a batch with types that Parquet has.

    Decimals of PostgreSQL become float64, or text in `id_column`, which keeps every digit; UUIDs
    and JSON become text. Raises SourceError that names a column of another type without rows.
    """
    names = batch.schema.names
    columns = [
        _storable_column(column, name, is_id=name == id_column)
        for name, column in zip(names, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, names=names)


def _storable_column(column: pa.Array, name: str, *, is_id: bool) -> pa.Array:
    kind, types = column.type, pa.types
    if isinstance(kind, pa.UuidType):
        return pa.array([_uuid_text(each) for each in column.storage.to_pylist()], pa.string())
    if isinstance(kind, pa.BaseExtensionType):
        is_number = getattr(kind, "type_name", "") == NUMERIC and not is_id
        return pc.cast(column.storage, pa.float64()) if is_number else column.storage
    if types.is_dictionary(kind):
        return column.dictionary_decode()
    if types.is_interval(kind) or types.is_union(kind):
        raise SourceError(
            f"column {name!r} has the type {kind}, which cannot be read; leave it out of the "
            "query, or convert it there, as with EXTRACT(EPOCH FROM …)"
        )
    return column


def _uuid_text(stored: bytes | None) -> str | None:
    return None if stored is None else str(UUID(bytes=stored))
