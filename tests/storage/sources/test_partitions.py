"""Folders such as `dt=2026-11-20/region=eu` as columns, in every format."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
from tables import PLAIN, write_table

from storage.errors import SchemaError, SourceError
from storage.sources import CATEGORY, ENTITY, NUMBER, find_files, open_source, spread_rows
from storage.sources.columns.kinds import level_key
from storage.sources.partitions import A_DATE, ONE_VALUE

FORMATS = (*PLAIN, "csv")


def write(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    pa_csv.write_csv(table, path) if path.suffix == ".csv" else write_table(path, table)
    return path


def lake(folder, suffix="parquet", days=3):
    """Days of two regions, with two rows in each file."""
    for day in range(days):
        for region in ("eu", "us"):
            path = folder / f"dt=2026-11-2{day}/region={region}/part-0.{suffix}"
            write(path, x=[float(day), 1.0])
    return folder


def read(path, **how):
    with open_source(path, **how) as source:
        return np.concatenate([chunk.rows for chunk in source.chunks(max_rows=100)])


@pytest.mark.parametrize("suffix", FORMATS)
def test_folders_are_columns_of_every_row(tmp_path, suffix):
    with open_source(lake(tmp_path, suffix)) as source:
        assert source.schema.columns == ("x", "region")
        assert source.schema.kinds == (NUMBER, CATEGORY)
        assert source.unread == {"dt": A_DATE}
        chunks = list(source.chunks(max_rows=100))
    eu, us = level_key("eu"), level_key("us")
    assert np.concatenate([chunk.rows for chunk in chunks])[:5].tolist() == [
        [0.0, eu],
        [1.0, eu],
        [0.0, us],
        [1.0, us],
        [1.0, eu],
    ]
    assert chunks[3].file == f"dt=2026-11-21/region=us/part-0.{suffix}"


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_folder_of_one_day_has_the_columns_of_all_days(tmp_path, suffix):
    lake(tmp_path, suffix)
    how = {"columns": ["region", "x"], "kinds": {"region": (CATEGORY,), "x": (NUMBER,)}}
    rows = read(tmp_path / "dt=2026-11-21/region=us", **how)

    assert rows.tolist() == [[level_key("us"), 1.0]] * 2


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_store_keeps_the_text_of_a_folder(tmp_path, suffix):
    with open_source(lake(tmp_path, suffix), columns=["x", "region", "dt"]) as source:
        source.exact = True
        beside = next(source.chunks(max_rows=1)).beside
    assert beside.to_pydict() == {"region": ["eu"], "dt": ["2026-11-20"]}


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_folder_may_name_ids_or_an_entity(tmp_path, suffix):
    lake(tmp_path, suffix)
    with open_source(tmp_path, id="region", columns=["x"]) as source:
        assert next(source.chunks(max_rows=9)).ids.tolist() == ["eu", "eu"]
    with open_source(tmp_path, kinds={"region": (ENTITY,)}) as source:
        assert source.schema.kinds == (NUMBER, ENTITY)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_numbers_nulls_and_escapes_in_the_names_of_folders(tmp_path, suffix):
    names = ["a=1/b=x%2Fy/c=0.5", "a=-2/b=__HIVE_DEFAULT_PARTITION__/c=1e3"]
    for name in names:
        write(tmp_path / f"{name}/p.{suffix}", x=[7.0])

    x_y = level_key("x/y")
    rows = read(tmp_path, missing="impute")
    np.testing.assert_array_equal(rows, [[7, -2, np.nan, 1000], [7, 1, x_y, 0.5]])


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_number_that_a_folder_lacks_is_refused_by_file(tmp_path, suffix):
    write(tmp_path / f"a=1/p.{suffix}", x=[7.0])
    write(tmp_path / f"a=__HIVE_DEFAULT_PARTITION__/q.{suffix}", x=[7.0])

    with pytest.raises(SourceError, match=rf"q.{suffix}: row 0 .*, column a: expected a number"):
        read(tmp_path)


def test_a_zero_before_a_number_stays_where_the_column_is_a_category(tmp_path):
    for name in ("shop=07", "shop=12"):
        write(tmp_path / f"{name}/p.parquet", x=[7.0])

    rows = read(tmp_path, kinds={"shop": (CATEGORY,)})
    assert rows[:, 1].tolist() == [level_key("07"), level_key("12")]
    assert read(tmp_path)[:, 1].tolist() == [7, 12]


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["year=2026/x=1", "year=2027/x=2"], {"year": A_DATE}),
        (["at=2026-11-20 05:00", "at=2026-11-20 06:00"], {"at": A_DATE}),
        (["run=3", "run=3/z"], {"run": ONE_VALUE}),
    ],
)
def test_what_changes_from_night_to_night_is_no_feature(tmp_path, names, why):
    for name in names:
        write(tmp_path / name / "p.parquet", v=[7.0])

    with open_source(tmp_path) as source:
        assert source.unread.items() >= why.items()


def test_a_folder_counts_and_not_the_column_of_its_name(tmp_path):
    for name in ("us", "eu"):
        write(tmp_path / f"region={name}/p.parquet", region=["old", "old"], x=[1.0, 2.0])

    rows = read(tmp_path)
    assert sorted({*rows[:, 0]}) == sorted([level_key("us"), level_key("eu")])


def test_a_renamed_folder_changes_the_fingerprint(tmp_path):
    before = open_source(lake(tmp_path)).fingerprint()
    (tmp_path / "dt=2026-11-20/region=eu").rename(tmp_path / "dt=2026-11-20/region=uk")

    assert open_source(tmp_path).fingerprint() != before


def test_a_file_outside_of_the_folders_lacks_their_columns(tmp_path):
    write(lake(tmp_path) / "loose.parquet", x=[1.0])

    with pytest.raises(SchemaError, match=r"loose.parquet: .* missing: 'region'"):
        open_source(tmp_path)


def test_a_file_outside_of_the_folders_that_holds_their_columns_is_refused(tmp_path):
    write(lake(tmp_path) / "loose.parquet", x=[1.0], region=["eu"])

    with pytest.raises(SourceError, match=r"loose.parquet: its folders do not name region, as"):
        open_source(tmp_path)


def test_folders_alone_are_no_features(tmp_path):
    with pytest.raises(SourceError, match="got only names of folders: region"):
        open_source(lake(tmp_path), columns=["region"])


def test_rows_kept_while_csv_files_are_opened_have_the_columns_of_folders(tmp_path):
    with open_source(lake(tmp_path, "csv"), keep=100) as source:
        assert spread_rows(source, 100).tolist() == read(tmp_path).tolist()


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "orc"])
def test_markers_and_empty_files_beside_others_hold_no_rows(tmp_path, suffix):
    lake(tmp_path, suffix)
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / f"dt=2026-11-20/region=eu/part-1.{suffix}").touch()

    with open_source(tmp_path) as source:
        assert source.n_rows == 12
        assert [path.name for path in source.left_out] == [f"part-1.{suffix}"]


def test_an_empty_parquet_file_is_broken(tmp_path):
    (lake(tmp_path) / "dt=2026-11-20/region=eu/part-1.parquet").touch()

    assert len(find_files(tmp_path)) == 7
    with pytest.raises(SourceError, match=r"part-1.parquet: empty; expected a file with rows"):
        open_source(tmp_path)
