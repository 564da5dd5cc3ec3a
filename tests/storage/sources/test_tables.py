"""Tables in several files: ids and globs."""

from __future__ import annotations

import pyarrow as pa
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
