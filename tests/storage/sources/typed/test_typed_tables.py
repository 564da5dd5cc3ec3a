"""What Parquet, Arrow, ORC, and JSON lines have in common: values, types, and ranges of rows."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import ipc, orc
from tables import SUFFIXES, write_table

from storage.errors import SchemaError, SourceError
from storage.sources import open_source, open_surveyed

TYPED = ("parquet", "arrow", "arrows", "feather", "orc")
FORMATS = (*TYPED, "jsonl", "ndjson.gz", "jsonl.zst", "jsonl.bz2")
BERLIN = pa.timestamp("us", "Europe/Berlin")
COLUMNS = {
    "i8": pa.array([1, -128, None], pa.int8()),
    "i64": pa.array([2**53 - 1, -5, 0], pa.int64()),
    "f32": pa.array([1.5, None, -0.0], pa.float32()),
    "f64": pa.array([0.1, 1e300, None], pa.float64()),
    "price": pa.array([Decimal("1.25"), None, Decimal("-2.50")], pa.decimal128(9, 2)),
    "text": pa.array(["", None, "Zürich"], pa.string()),
    "flag": pa.array([True, None, False], pa.bool_()),
    "when": pa.array([dt.datetime(2026, 11, 26, 10, 30), None, dt.datetime(1969, 12, 31, 23)]),
    "day": pa.array([dt.date(2026, 11, 26), None, dt.date(1900, 1, 1)], pa.date32()),
    "list": pa.array([[1], None, [2]], pa.list_(pa.int64())),
}


def read(path, start=0, stop=None, max_rows=1_000, **how):
    with open_source(path, **how) as source:
        chunks = list(source.chunks(start, stop, max_rows=max_rows))
        assert all(len(chunk.rows) <= max_rows for chunk in chunks)
        return np.concatenate([chunk.rows for chunk in chunks])


def exact(path) -> pa.Table:
    """All columns as a store keeps them: those that are no NumPy numbers."""
    with open_source(path, missing="impute") as source:
        source.exact = True
        return pa.Table.from_batches([each.beside for each in source.chunks(max_rows=2)])


@pytest.mark.parametrize("suffix", TYPED)
def test_values_and_types_come_back(tmp_path, suffix):
    table = pa.table(COLUMNS)
    path = write_table(tmp_path / f"rows.{suffix}", table)

    with open_source(path, missing="impute") as source:
        numbers = [table[name].cast(pa.float64()).to_numpy() for name in ("f32", "f64", "price")]
        assert source.schema.names == tuple(COLUMNS)[:-1]
        assert [*source.unread] == ["list"]
    rows = read(path, columns=["f32", "f64", "price"], missing="impute")
    np.testing.assert_array_equal(rows.T, numbers)
    found = exact(path)
    assert found.column_names == ["price", "text", "flag", "when", "day"]
    for name in found.column_names:
        assert found[name].to_pylist() == table[name].to_pylist()


@pytest.mark.parametrize("suffix", FORMATS)
def test_whole_numbers_stay_whole_numbers(tmp_path, suffix):
    values = [2**62 + 1, -(2**62) - 1, 3]
    path = write_table(tmp_path / f"rows.{suffix}", pa.table({"a": values}))

    rows = read(path)
    assert rows.dtype == np.int64
    assert rows[:, 0].tolist() == values


@pytest.mark.parametrize("suffix", FORMATS)
def test_any_range_of_rows_in_chunks_of_any_size(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr("storage.sources.typed.json_lines.BLOCK_BYTES", 200)
    table = pa.table({"x": np.arange(103.0), "id": [f"r{i}" for i in range(103)]})
    path = write_table(tmp_path / f"rows.{suffix}", table, rows_in_part=10)

    for start, stop, max_rows in [(0, 103, 7), (35, 36, 1), (10, 20, 50), (95, 103, 4), (7, 81, 9)]:
        rows = read(path, start, stop, max_rows, id="id")
        assert rows[:, 0].tolist() == list(range(start, stop))


@pytest.mark.parametrize("suffix", FORMATS)
def test_ids_are_exact(tmp_path, suffix):
    table = pa.table({"x": [1.0, 2.0], "n": [2**60 + 1, -5], "t": ["07", "a b"]})
    path = write_table(tmp_path / f"rows.{suffix}", table)

    for name, ids in (("n", [2**60 + 1, -5]), ("t", ["07", "a b"])):
        with open_source(path, columns=["x"], id=name) as source:
            assert next(source.chunks(max_rows=9)).ids.tolist() == ids


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_folder_of_files_is_one_table(tmp_path, suffix):
    for name, value in (("b", 2.0), ("a", 1.0)):
        write_table(tmp_path / f"{name}.{suffix}", pa.table({"x": [value] * 3}))

    with open_source(tmp_path) as source:
        assert [Path(chunk.file).name[0] for chunk in source.chunks(max_rows=9)] == ["a", "b"]
        assert source.n_rows == 6
        before = source.fingerprint()
    write_table(tmp_path / f"b.{suffix}", pa.table({"x": [5.0] * 4}))
    assert open_source(tmp_path).fingerprint() != before


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_that_changes_after_it_was_opened_is_refused_by_name(tmp_path, suffix):
    path = write_table(tmp_path / f"rows.{suffix}", pa.table({"x": np.arange(50.0)}))
    with open_source(path) as source:
        write_table(path, pa.table({"x": np.arange(30.0)}))
        with pytest.raises(SourceError, match=f"rows.{suffix}: (changed|holds 30 rows)"):
            list(source.chunks(max_rows=100))


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_missing_column_is_refused_by_name(tmp_path, suffix):
    path = write_table(tmp_path / f"rows.{suffix}", pa.table({"temp_c": [1.0], "y": [2.0]}))

    with pytest.raises(SchemaError, match=rf"rows.{suffix}: .* missing: 'temp' .*'temp_c'"):
        open_source(path, columns=["temp"])


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_cut_file_is_refused_by_name(tmp_path, suffix):
    table = pa.table({"x": np.random.default_rng(0).normal(size=400)})
    path = write_table(tmp_path / f"rows.{suffix}", table)
    content = path.read_bytes()
    for share in (0.5, 0.97):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(SourceError, match=f"rows.{suffix}: "):
            read(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_of_another_format_is_refused_by_name(tmp_path, suffix):
    path = tmp_path / f"rows.{suffix}"
    path.write_bytes(b"no table of any kind\n" * 9)

    with pytest.raises(SourceError, match=rf"rows.{suffix}: .*(not an?|expected one JSON)"):
        open_source(path)


def test_views_of_text_are_read_as_text(tmp_path):
    views = pa.array(["a", None, "b"], pa.string_view())
    coded = pa.DictionaryArray.from_arrays(pa.array([0, 2, 0]), views)
    table = pa.table({"x": [1.0, 2.0, 3.0], "v": views, "c": coded})
    path = write_table(tmp_path / "rows.arrow", table)

    with open_surveyed(path, id="") as source:
        assert source.read_as["read as category"] == "v, c"
    assert exact(path)["v"].to_pylist() == ["a", None, "b"]


def test_a_large_record_batch_is_read_in_slices(tmp_path, monkeypatch):
    monkeypatch.setattr("storage.sources.typed.arrow_files.MAPPED_BYTES", 1_000)
    path = write_table(tmp_path / "rows.arrow", pa.table({"x": np.arange(500.0)}))

    assert read(path, 100, 300, 32)[:, 0].tolist() == list(range(100, 300))


def test_feather_version_1_is_refused(tmp_path):
    (tmp_path / "rows.feather").write_bytes(b"FEA1" + bytes(40))

    with pytest.raises(SourceError, match=r"rows.feather: Feather version 1; expected version 2"):
        open_source(tmp_path / "rows.feather")


def test_a_stream_without_its_end_is_refused(tmp_path):
    path = write_table(tmp_path / "rows.arrows", pa.table({"x": np.arange(5.0)}))
    path.write_bytes(path.read_bytes()[:-8])

    with pytest.raises(SourceError, match=r"rows.arrows: .* truncated or still being written"):
        open_source(path)


def test_a_stream_may_change_its_dictionary(tmp_path):
    parts = [pa.array(levels).dictionary_encode() for levels in (["a", "b"], ["c", "a"])]
    batches = [pa.record_batch([part, pa.array([1.0, 2.0])], ["c", "x"]) for part in parts]
    with ipc.new_stream(tmp_path / "rows.arrows", batches[0].schema) as stream:
        for batch in batches:
            stream.write_batch(batch)

    assert exact(tmp_path / "rows.arrows")["c"].to_pylist() == ["a", "b", "c", "a"]


def test_a_dot_in_the_name_of_an_orc_column_is_part_of_the_name(tmp_path):
    table = pa.table({"x.y": [1.0, 2.0], "x": [3.0, 4.0], "note": ["p", "q"]})
    orc.write_table(table, tmp_path / "rows.orc")

    assert read(tmp_path / "rows.orc", columns=["x", "x.y"]).tolist() == [[3, 1], [4, 2]]


def test_floats_of_two_bytes_are_numbers(tmp_path):
    table = pa.table({"h": pa.array([1.5, None], pa.float16())})
    for suffix in ("arrow", "parquet"):
        path = write_table(tmp_path / f"rows.{suffix}", table)
        assert read(path, missing="impute")[0].tolist() == [1.5]


def test_parquet_is_read_by_row_groups(tmp_path):
    pq.write_table(pa.table({"x": np.arange(10.0)}), tmp_path / "a.parquet", row_group_size=4)

    assert open_source(tmp_path / "a.parquet").borders == [0, 4, 8, 10]
