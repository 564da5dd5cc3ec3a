"""Types of columns, and results written to Parquet files."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.databases.columns import storable_batch
from storage.databases.snapshot import note_snapshot, snapshot_at, write_rows, write_snapshot
from storage.errors import SourceError

ID = uuid.UUID("550e8400-e29b-41d4-a716-446655440000")
NUMERIC = pa.opaque(pa.string(), "numeric", "PostgreSQL")


def batch(**columns: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)


def of_type(kind: pa.DataType, values: list[object]) -> pa.Array:
    return pa.ExtensionArray.from_storage(kind, pa.array(values, kind.storage_type))


def test_decimals_of_postgresql_are_numbers_and_as_ids_exact_texts():
    texts = ["12345678901234567890.10", None, "nan"]
    found = batch(id=of_type(NUMERIC, texts), price=of_type(NUMERIC, ["1.25", None, "-0.5"]))
    stored = storable_batch(found, id_column="id")

    assert stored.column("price").to_pylist() == [1.25, None, -0.5]
    assert stored.column("id").to_pylist() == texts


def test_uuids_json_and_enums_are_texts():
    stored = storable_batch(
        batch(
            key=of_type(pa.uuid(), [ID.bytes, None]),
            note=of_type(pa.json_(pa.string()), ['{"a": 1}', None]),
            mood=pa.array(["calm", None]).dictionary_encode(),
        ),
        id_column="",
    )

    assert stored.to_pylist()[0] == {"key": str(ID), "note": '{"a": 1}', "mood": "calm"}
    assert stored.to_pylist()[1] == {"key": None, "note": None, "mood": None}
    assert {*map(str, stored.schema.types)} == {"string"}


def test_a_type_that_parquet_lacks_is_refused_by_the_name_of_its_column():
    span = pa.array([pa.MonthDayNano([0, 1, 0])], pa.month_day_nano_interval())
    with pytest.raises(SourceError, match="column 'wait' has the type month_day_nano_interval"):
        storable_batch(batch(wait=span), id_column="")


def test_the_same_rows_give_the_same_bytes_however_they_come_in_batches(tmp_path):
    rows = pa.table({"id": range(150_000), "x": [0.5] * 150_000})
    for name, size in (("a", 7_001), ("b", 50_000)):
        batches = rows.to_batches(max_chunksize=size)
        assert write_rows(tmp_path / name, iter(batches)) == 150_000

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert pq.read_metadata(tmp_path / "a").num_row_groups == 3


def test_a_result_without_rows_keeps_its_columns(tmp_path):
    empty = pa.RecordBatch.from_pylist([], pa.schema([("x", pa.float64())]))

    assert write_rows(tmp_path / "a", iter([empty])) == 0
    assert pq.read_table(tmp_path / "a").schema.names == ["x"]


def test_an_equal_result_leaves_the_file_untouched(tmp_path):
    path = tmp_path / "night" / "night.parquet"
    stamps = []
    for values in ([1], [1], [2]):
        note_snapshot(path, write_snapshot(path, iter([batch(x=pa.array(values))]), query="q"))
        stamps.append(path.stat().st_ino)

    assert stamps[0] == stamps[1] != stamps[2]
    assert snapshot_at(path).rows == 1
    assert sorted(each.name for each in path.parent.iterdir()) == ["night.parquet", "snapshot.json"]


def test_a_failed_query_leaves_the_earlier_snapshot(tmp_path):
    def broken():
        yield batch(x=pa.array([1, 2]))
        raise SourceError("the connection is lost")

    path = tmp_path / "night.parquet"
    found = write_snapshot(path, iter([batch(x=pa.array([1]))]), query="q")
    note_snapshot(path, replace(found, asked="2026-11-22"))
    with pytest.raises(SourceError, match="the connection is lost"):
        write_snapshot(path, broken(), query="q")

    assert snapshot_at(path) == replace(found, asked="2026-11-22")
    assert pq.read_table(path).num_rows == 1
