"""Which files of a folder or a glob are rows, and which are named instead."""

from __future__ import annotations

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.errors import NoDataError, SourceError
from storage.sources import find_files, open_source


def write(path, rows=2):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"x": [1.0] * rows}), path)
    return path


def found(path) -> list[str]:
    return [file.name for file in find_files(path)]


@pytest.mark.parametrize(
    "hidden",
    [
        "_temporary/0/task_1/b.parquet",
        ".ipynb_checkpoints/b.parquet",
        ".Trash/b.parquet",
        ".snapshot/b.parquet",
        ".spark-staging-1/day=1/b.parquet",
        "_b.parquet",
        "._b.parquet",
        "_b=1.parquet",
    ],
)
@pytest.mark.parametrize("pattern", ["", "*", "*.parquet", "**/*.parquet", "**"])
def test_hidden_parts_of_a_path_never_count_as_rows(tmp_path, hidden, pattern):
    write(tmp_path / "a.parquet")
    write(tmp_path / hidden)

    assert found(tmp_path / pattern) == ["a.parquet"]


@pytest.mark.parametrize("pattern", ["", "*", "*/*", "**/*.parquet"])
def test_folders_of_a_key_and_a_value_count_even_with_an_underscore(tmp_path, pattern):
    write(tmp_path / "_day=1/a.parquet")
    write(tmp_path / "day=2/b.parquet")

    assert found(tmp_path / pattern) == ["a.parquet", "b.parquet"]


def test_a_hidden_folder_or_prefix_that_the_path_spells_is_read(tmp_path):
    write(tmp_path / "_staged/_a.parquet")
    write(tmp_path / "_staged/.b.parquet")

    assert found(tmp_path / "_staged/_a.parquet") == ["_a.parquet"]
    assert found(tmp_path / "_staged/_*.parquet") == ["_a.parquet"]


def test_a_hudi_table_is_refused_by_name(tmp_path):
    write(tmp_path / "orders/day=1/a.parquet")
    (tmp_path / "orders/.hoodie").mkdir()

    with pytest.raises(SourceError, match=r"orders \(Hudi\); expected plain files, or .* Export"):
        open_source(tmp_path / "orders/day=1")


def test_linked_folders_are_followed_and_loops_named(tmp_path):
    write(tmp_path / "disk2/b.parquet")
    write(tmp_path / "night/part/a.parquet")
    (tmp_path / "night/more").symlink_to(tmp_path / "disk2")
    (tmp_path / "night/part/again").symlink_to(tmp_path / "night")

    for pattern in ("", "**/*.parquet"):
        with open_source(tmp_path / "night" / pattern) as source:
            assert [file.name for file in source.files] == ["b.parquet", "a.parquet"]
            assert [path.name for path in source.left_out] == ["again"]


def test_a_folder_and_a_link_to_it_are_read_once(tmp_path):
    write(tmp_path / "day=1/a.parquet")
    (tmp_path / "a-latest").symlink_to(tmp_path / "day=1")

    for pattern, left_out in (("", "a-latest"), ("*", "a-latest"), ("*/*.parquet", "a.parquet")):
        with open_source(tmp_path / pattern) as source:
            assert source.files == (tmp_path / "day=1/a.parquet",)
            assert [path.name for path in source.left_out] == [left_out]


def test_a_folder_that_a_link_makes_unreadable_is_no_silent_gap(tmp_path):
    write(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").symlink_to(tmp_path / "gone.parquet")

    with pytest.raises(SourceError, match=r"b.parquet: cannot be read \(No such file"):
        open_source(tmp_path)


def test_parq_and_compressed_csv_are_read_beside_others(tmp_path):
    write(tmp_path / "tables/a.parquet")
    write(tmp_path / "tables/b.PARQ")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.csv").write_text("x\n1\n2\n")
    (tmp_path / "texts/b.csv.gz").write_bytes(gzip.compress(b"x\n3\n4\n"))

    assert open_source(tmp_path / "tables").n_rows == 4
    assert open_source(tmp_path / "texts").n_rows == 4
    [chunk] = open_source(tmp_path / "texts/b.csv.gz").chunks(max_rows=9)
    assert chunk.rows.tolist() == [[3.0], [4.0]]


def test_files_of_other_types_are_named(tmp_path):
    write(tmp_path / "a.parquet")
    (tmp_path / "b.parquet.tmp").write_bytes(b"x")
    (tmp_path / "c.csv.zip").write_bytes(b"x")

    for pattern in ("", "*"):
        left_out = open_source(tmp_path / pattern).left_out
        assert [path.name for path in left_out] == ["b.parquet.tmp", "c.csv.zip"]


def test_a_folder_without_a_table_names_what_it_holds(tmp_path):
    (tmp_path / "rows.xlsx").write_bytes(b"x")

    with pytest.raises(NoDataError, match=r"no files found; .*; not read: rows.xlsx"):
        open_source(tmp_path)
