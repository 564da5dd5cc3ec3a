"""Tables in several files: ids and globs."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from storage.errors import SourceError
from storage.sources import open_source


def write(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def ids_of(path) -> list[object]:
    with open_source(path, id="id") as source:
        return [each for chunk in source.chunks(max_rows=100) for each in chunk.ids.tolist()]


def test_a_glob_may_match_folders(tmp_path):
    for name in ("date=1", "date=2"):
        write(tmp_path / name / "part.parquet", x=[1.0, 2.0])

    with open_source(tmp_path / "date=*" / "part.parquet") as source:
        assert source.n_rows == 4


def test_ids_that_are_integers_only_in_some_files_are_text_in_all(tmp_path):
    write(tmp_path / "a.parquet", id=[1, 2], x=[1.0, 2.0])
    write(tmp_path / "b.parquet", id=["a"], x=[3.0])

    assert ids_of(tmp_path) == ["1", "2", "a"]


def test_large_unsigned_ids_keep_their_value(tmp_path):
    write(tmp_path / "a.parquet", id=pa.array([2**64 - 1, 5], pa.uint64()), x=[1.0, 2.0])

    assert ids_of(tmp_path / "a.parquet") == [str(2**64 - 1), "5"]


def test_a_row_without_an_id_is_named(tmp_path):
    write(tmp_path / "a.parquet", id=[7, None], x=[1.0, 2.0])

    with pytest.raises(
        SourceError, match=r"a.parquet: row 1, column id: expected an id, got nothing"
    ):
        ids_of(tmp_path)


def test_whole_numbers_that_a_csv_file_cannot_give_exactly_are_refused_where_that_matters(
    tmp_path,
):
    (tmp_path / "a.csv").write_text("big,small\n1,2\n1152921504606846977,3\n")
    with open_source(tmp_path / "a.csv") as source:
        assert len(next(iter(source.chunks(max_rows=5))).rows) == 2
        source.exact = True
        with pytest.raises(SourceError, match=r"a\.csv: row 1, column big: .* below 2\^53"):
            list(source.chunks(max_rows=5))


def test_the_pandas_index_and_columns_without_a_name_are_no_features(tmp_path):
    table = pa.table({"": [1.0], "x": [1.0], "index": [5], "__index_level_1__": [6]})
    pandas = json.dumps({"index_columns": ["index", "__index_level_1__", {"kind": "range"}]})
    pq.write_table(table.replace_schema_metadata({"pandas": pandas}), tmp_path / "a.parquet")

    with open_source(tmp_path / "a.parquet") as source:
        assert source.schema.columns == ("x",)
        assert source.not_read == {
            "columns not read": "column 1 without a name (no name); "
            "index, __index_level_1__ (pandas index)"
        }
        assert source.not_features == ()
    with open_source(tmp_path / "a.parquet", columns=["x", "index"]) as source:
        assert source.schema.columns == ("x", "index")


@pytest.mark.parametrize("metadata", ["not JSON", "[1]", '{"index_columns": 3}', "\\xff"])
def test_metadata_that_pandas_did_not_write_is_passed_over(tmp_path, metadata):
    table = pa.table({"x": [1.0]}).replace_schema_metadata({"pandas": metadata})
    pq.write_table(table, tmp_path / "a.parquet")

    assert open_source(tmp_path / "a.parquet").schema.columns == ("x",)


@pytest.mark.parametrize("name", ["run:5.parquet", "runT04:00.parquet", "a:b/c.parquet", "x:1.csv"])
def test_a_relative_path_with_a_colon_is_a_path(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    (pa_csv.write_csv if name.endswith("csv") else pq.write_table)(
        pa.table({"a": [1.0]}), path.absolute()
    )

    assert [chunk.rows.tolist() for chunk in open_source(path).chunks(max_rows=5)] == [[[1.0]]]


def test_a_column_name_that_is_not_utf8_is_refused_by_file(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"abcdefgh": [1.0], "b": [1.0]}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"abcdefgh", b"abcd\xe9fgh"))

    with pytest.raises(SourceError, match=r"a.parquet: the name of a column is not UTF-8 text"):
        open_source(path)


def test_small_row_groups_share_a_chunk(tmp_path):
    table = pa.table({"x": [float(row) for row in range(1_000)]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=10)

    with open_source(tmp_path / "a.parquet") as source:
        chunks = list(source.chunks(15, 985, max_rows=400))
        assert [len(chunk.rows) for chunk in chunks] == [395, 400, 175]
        assert np.concatenate([chunk.rows[:, 0] for chunk in chunks]).tolist() == list(
            range(15, 985)
        )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_opening_a_wide_table_takes_time_linear_in_its_columns(tmp_path, kind):
    def seconds(width):
        table = pa.table({f"c{index}": [1.0, 2.0] for index in range(width)})
        path = tmp_path / f"{width}.{kind}"
        (pa_csv.write_csv if kind == "csv" else pq.write_table)(table, path)
        return min(timed(path) for _ in range(3))

    def timed(path):
        started = time.process_time()
        with open_source(path) as source, open_source(path, columns=source.schema.columns) as again:
            list(again.chunks(max_rows=10))
        return time.process_time() - started

    assert seconds(8_000) < 16 * seconds(1_000)  # quadratic: 64
