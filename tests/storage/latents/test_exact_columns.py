"""Columns of any Arrow type in the file of a shard."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import DamagedError
from storage.latents.exact_columns import (
    GROUP_ROWS,
    ColumnsReader,
    columns_from_json,
    columns_to_json,
    same_values,
    source_bytes,
    write_columns,
)
from storage.sources import Schema, StoredColumns

TYPES = (
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.dictionary(pa.int32(), pa.string()),
    pa.dictionary(pa.int32(), pa.int64()),
    pa.bool_(),
    pa.decimal128(9, 2),
    pa.decimal256(40, 3),
    pa.date32(),
    pa.date64(),
    pa.timestamp("ns", "Europe/Berlin"),
    pa.timestamp("ms"),
    pa.time32("ms"),
    pa.time64("ns"),
    pa.duration("us"),
    pa.float16(),
    pa.float32(),
    pa.float64(),
    pa.uint64(),
)


def as_parquet_has_it(table, path):
    """A table as a source of Parquet gives it."""
    pq.write_table(table, path)
    return pq.read_table(path)


def read_back(table, path, start=0, stop=None):
    write_columns(path, table)
    reader = ColumnsReader(path, path, table.schema)
    try:
        return reader.read(start, len(table) if stop is None else stop)
    finally:
        reader.close()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_type_comes_back_bit_for_bit(tmp_path_factory, data):
    kind = data.draw(st.sampled_from(TYPES))
    values = data.draw(st.lists(st.one_of(st.none(), st.integers(0, 86_399)), max_size=40))
    made = pa.array(values, pa.int64())
    folder = tmp_path_factory.mktemp("types")
    table = as_parquet_has_it(pa.table({"a": converted(made, kind)}), folder / "source.parquet")

    back = read_back(table, folder / "columns.parquet")
    assert back.schema == table.schema
    assert same_values(back, table)


def converted(whole, kind):
    """Whole numbers as an array of any type."""
    if pa.types.is_dictionary(kind):
        return whole.cast(kind.value_type).dictionary_encode()
    if pa.types.is_date64(kind):
        return whole.cast(pa.int32()).cast(pa.date32()).cast(kind)
    if pa.types.is_date32(kind) or pa.types.is_time32(kind):
        return whole.cast(pa.int32()).cast(kind)
    if pa.types.is_string_view(kind):
        return whole.cast(pa.string()).cast(kind)
    if pa.types.is_float16(kind):
        return whole.cast(pa.float32()).cast(kind)
    if pa.types.is_decimal(kind):
        return pa.array(whole.to_pylist(), kind)
    return whole.cast(kind)


def test_empty_text_gaps_and_nan_stay_apart(tmp_path):
    texts = pa.array(["", None, "🙂", "a\x00b", " "])
    floats = pa.array([float("nan"), None, -0.0, 0.0, float("inf")])
    back = read_back(pa.table({"t": texts, "f": floats}), tmp_path / "columns.parquet")

    assert back["t"].to_pylist() == texts.to_pylist()
    assert str(back["f"].to_pylist()) == "[nan, None, -0.0, 0.0, inf]"
    assert not same_values(back, pa.table({"t": texts, "f": pa.array([0.0, None, -0.0, 0.0, 1.0])}))


@pytest.mark.parametrize(("start", "stop"), [(0, 0), (5, 9), (GROUP_ROWS - 3, GROUP_ROWS + 4)])
def test_a_part_of_the_rows_is_read(tmp_path, start, stop):
    table = pa.table({"a": pa.array(range(GROUP_ROWS + 9)).cast(pa.string())})
    back = read_back(table, tmp_path / "columns.parquet", start, stop)

    assert back["a"].to_pylist() == table["a"][start:stop].to_pylist()


def test_the_same_rows_give_the_same_bytes_however_they_are_cut(tmp_path):
    column = pa.array(["x", None, "y", "z"] * 50)
    parts = [column[:70].dictionary_encode(), column[70:].dictionary_encode()]
    write_columns(tmp_path / "a", pa.table({"c": pa.chunked_array(parts)}))
    write_columns(tmp_path / "b", pa.table({"c": column.dictionary_encode()}))

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_times_take_few_bytes_whether_they_count_up_or_repeat(tmp_path, random):
    minutes = np.arange(20_000) * 60
    for seconds, most in ((minutes, 3_000), (random.integers(0, 9, 20_000), 12_000)):
        write_columns(tmp_path / "a", pa.table({"t": pa.array(seconds, pa.timestamp("s"))}))
        assert (tmp_path / "a").stat().st_size < most


def test_a_damaged_page_is_noticed_on_reading(tmp_path):
    table = pa.table({"a": pa.array(range(5000)).cast(pa.string())})
    write_columns(tmp_path / "columns.parquet", table)
    content = bytearray((tmp_path / "columns.parquet").read_bytes())
    content[len(content) // 3] ^= 1
    (tmp_path / "columns.parquet").write_bytes(content)
    reader = ColumnsReader(tmp_path / "columns.parquet", tmp_path / "columns.parquet", table.schema)

    with pytest.raises(DamagedError, match=r"columns\.parquet: cannot be read"):
        reader.read(0, 5000)
    reader.close()


def test_the_manifest_keeps_names_order_and_types():
    exact = pa.schema([("b", pa.dictionary(pa.int32(), pa.string())), ("c", pa.date32())])
    columns = StoredColumns(Schema((1,), "float64", ("a",)), (1,), ("b", "a", "c"), exact)
    back = columns_from_json(columns_to_json(columns))

    assert back == StoredColumns(columns.values, (), columns.names, exact)
    assert columns_from_json(Schema((2,), "uint8").to_json()).exact is None


def test_the_bytes_of_a_source_are_those_of_its_values():
    table = pa.table({"t": ["é", None, ""], "d": pa.array([1, 2, 3], pa.date32())})

    assert source_bytes(table) == 2 + 3 * 4
    assert source_bytes(None) == 0
