"""The scores and the reported rows of a night, as rows of tables that several jobs may share."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq

from storage.databases.session import NightRows
from storage.files.manifest import read_manifest
from storage.nights.revisions import NightPlace
from storage.nights.scores import iter_scores

KEY = ("job", "date", "id", "row")  # the row tells rows apart where ids repeat
TEXTS = ("id", "file")  # also where ids are numbers


def scored_revision(place: NightPlace) -> int:
    """Return the newest revision with scores; 0 if there is none."""
    if not place.scores.exists():
        return 0
    revision: int = read_manifest(place.scores, "scores")["revision"]
    return revision


def score_rows(place: NightPlace, table: str) -> NightRows:
    """Return the scores of all rows of a night."""
    schema = pq.read_schema(next(place.scores.glob("part-*.parquet")))
    return _night_rows(place, table, schema, iter_scores(place.scores, schema.names))


def outlier_rows(place: NightPlace, table: str) -> NightRows:
    """Return the rows that the report lists."""
    listed = pq.read_table(place.report(scored_revision(place)) / "outliers.parquet")
    return _night_rows(place, table, listed.schema, iter(listed.to_batches()))


def _night_rows(
    place: NightPlace, table: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]
) -> NightRows:
    """Put job, date, revision and model_id before the columns of rows."""
    manifest = read_manifest(place.scores, "scores")
    night = (
        pa.scalar(place.job),
        pa.scalar(date.fromisoformat(place.date)),
        pa.scalar(manifest["revision"], pa.int64()),
        pa.scalar(manifest["model_id"], pa.string()),
    )
    fields = [("job", pa.string()), ("date", pa.date32())]
    fields += [("revision", pa.int64()), ("model_id", pa.string())]
    fields += [(each.name, _table_type(each)) for each in schema]
    whole = pa.schema(fields)

    def rows() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            columns = [pa.repeat(value, batch.num_rows) for value in night] + batch.columns
            yield pa.record_batch(
                [_cast(each, kind) for each, kind in zip(columns, whole.types, strict=True)], whole
            )

    return NightRows(table, whole, KEY, rows())


def _table_type(field: pa.Field) -> pa.DataType:
    """Return the type of a column in a table: names are texts, and times count microseconds."""
    if field.name in TEXTS or pa.types.is_dictionary(field.type):
        return pa.string()
    return pa.timestamp("us", "UTC") if pa.types.is_timestamp(field.type) else field.type


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    return column.cast(kind, safe=not pa.types.is_timestamp(kind))
