"""Files of one day or partition are one block: what paths name, and what training makes of it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aemodel.settings import TrainSettings
from flows.errors import UsageError
from flows.training.rows.blocks import find_blocks
from flows.training.rows.clean_rows import DigestedPasses
from storage.sources import open_source

DAYS = [f"2026-11-{day:02}" for day in range(1, 7)]
ROWS = 3
DEFAULT = TrainSettings()


def write_files(folder, paths):
    for number, path in enumerate(paths):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"x": np.arange(ROWS) + 10.0 * number}), file)


def names_of_rows(source, train=DEFAULT):
    """The block of the first row of each file, as `find_blocks` says."""
    passes = DigestedPasses(source, 2, blocks := find_blocks(source, train))
    found, row = [], 0
    for rows in passes():
        found += passes.blocks.numbers(row, row := row + len(rows)).tolist()
    return blocks.kind, [blocks.names[number] for number in found][::ROWS]


def two_files_of_each_day(pattern):
    return [pattern.format(day=day, part=part) for day in DAYS for part in (0, 1)]


@pytest.mark.parametrize(
    "pattern",
    [
        "dt={day}/part-{part}.parquet",
        "region=eu/dt={day}/hour={part}/a.parquet",
        "{day}/part-{part}.parquet",
        "{day}T0{part}.parquet",
        "{part}-{day}-9.parquet",
    ],
)
def test_files_whose_paths_name_one_day_are_one_block(tmp_path, pattern):
    write_files(tmp_path, files := two_files_of_each_day(pattern))
    with open_source(tmp_path) as source:
        kind, found = names_of_rows(source)

    assert kind == "days"
    assert found == [next(day for day in DAYS if day in file) for file in sorted(files)]


@pytest.mark.parametrize(
    "pattern", ["{year}/{month}/{day}/{part}.parquet", "year={year}/m={month}/d={day}/{part}.pq"]
)
def test_a_day_may_be_named_by_three_folders(tmp_path, pattern):
    parts = [dict(zip(("year", "month", "day"), day.split("-"), strict=True)) for day in DAYS]
    write_files(tmp_path, [pattern.format(**day, part=part) for day in parts for part in (0, 1)])
    with open_source(tmp_path) as source:
        assert names_of_rows(source) == ("days", list(np.repeat(DAYS, 2)))


@pytest.mark.parametrize(
    "files",
    [
        ["dt=2026-11-01/a.parquet", "dt=2026-11-01/b.parquet"],  # nothing to compare otherwise
        ["2026-11-01.parquet", "2026-11-02.parquet"],
        ["2026-13-01-a.parquet", "2026-13-01-b.parquet", "2026-13-02.parquet"],
        ["dt=2026-11-01/a.pq", "dt=2026-11-01/b.pq", "dt=__HIVE_DEFAULT_PARTITION__/c.pq"],
    ],
)
def test_files_are_blocks_of_their_own_if_days_are_unknown_or_all_the_same(tmp_path, files):
    write_files(tmp_path, files)
    with open_source(tmp_path) as source:
        assert names_of_rows(source) == ("files", sorted(files))


def test_a_partition_column_names_blocks_though_the_network_does_not_see_it(tmp_path):
    files = [f"dt={day}/region={region}/a.parquet" for day in DAYS for region in ("eu", "us")]
    write_files(tmp_path, files)
    with open_source(tmp_path, kinds={"region": ()}) as source:
        by_day = names_of_rows(source, TrainSettings(split="blocks", blocks="dt"))
        by_region = names_of_rows(source, TrainSettings(split="blocks", blocks="region"))

    assert by_day == ("days", list(np.repeat(DAYS, 2)))
    assert by_region == ("partitions", ["eu", "us"] * 6)


def test_whole_partitions_are_not_held_out_if_the_network_sees_their_column(tmp_path):
    write_files(tmp_path, [f"region={region}/a.parquet" for region in ("eu", "us", "cn")])
    by_blocks = TrainSettings(split="blocks", blocks="region")
    with open_source(tmp_path) as source, pytest.raises(UsageError, match="levels that no fit row"):
        find_blocks(source, by_blocks)


def test_rows_of_hives_null_are_a_block(tmp_path):
    write_files(tmp_path, ["k=a/a.parquet", "k=a/b.parquet", "k=__HIVE_DEFAULT_PARTITION__/a.pq"])
    with open_source(tmp_path, kinds={"k": ()}) as source:
        found = names_of_rows(source, TrainSettings(blocks="k"))

    assert found == ("partitions", ["(no value)", "a", "a"])
