"""Times and entities that are missing, repeated, or no times at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from series_sources import MACHINES, START, machines, opened, read, seconds, write

from storage.errors import SchemaError, SourceError
from storage.sources.series.order import SeriesOrder

ONE = SeriesOrder("at")


def test_times_that_go_back_are_sorted_and_counted(tmp_path):
    source = opened(write(tmp_path / "a.parquet", machines(["a"] * 4, [0, 3, 1, 4])))

    assert read(source).times == [0, 1, 3, 4]
    assert source.facts["rows out of order"] == "1 (before the row before them; sorted)"


def test_rows_of_one_time_keep_their_order_and_are_counted(tmp_path):
    source = opened(write(tmp_path / "a.parquet", machines(["a", "a", "a", "a"], [0, 5, 5, 3])))

    assert read(source).numbers == [0, 3, 1, 2]
    assert source.series.repeated == 1


def test_a_gap_of_hours_is_one_step_that_differs(tmp_path):
    offsets = [*range(10), 8 * 3_600]
    source = opened(
        write(tmp_path / "a.parquet", machines(["a"] * 11, offsets)), replace(MACHINES, gap=60)
    )

    assert (source.series.segments, source.series.typical_step) == (2, 1)
    assert source.series.irregular == pytest.approx(0.1)


def test_an_entity_with_three_rows_is_a_series(tmp_path):
    names = ["a"] * 5 + ["tiny"] * 3
    source = opened(write(tmp_path / "a.parquet", machines(names, [*range(5), 0, 1, 2])))

    assert source.rows_of("tiny") == (5, 8)
    assert source.rows_of("unknown") == (0, 0)


@pytest.mark.parametrize(
    ("names", "offsets", "why"),
    [
        (["a", "a", "a"], [0, None, 2], "row 1, column at: expected a time, got nothing"),
        (["a", None, "a"], [0, 1, 2], "row 1, column machine: expected the name of an entity"),
        (["a", "", "a"], [0, 1, 2], "row 1, column machine: expected the name of an entity"),
    ],
)
def test_a_row_without_time_or_entity_is_unusable_and_named(tmp_path, names, offsets, why):
    source = opened(write(tmp_path / "a.parquet", machines(names, offsets)))
    with pytest.raises(SourceError, match=why):
        read(source)
    source.tolerant = True
    found = read(source)
    last = list(source.chunks(max_rows=9))[-1]

    assert (found.numbers, found.usable) == ([0, 2, 1], [True, True, False])
    assert (found.entities[-1], found.starts[-1]) == (None, True)
    assert why in source.why_unusable(last, 2)
    assert source.series.unplaced == 1


def test_clean_rows_without_time_are_left_out_where_gaps_are_imputed(tmp_path):
    path = write(tmp_path / "a.parquet", machines(["a"] * 3, [0, None, 2]))
    chunk = next(opened(path, missing="impute").chunks(max_rows=9, pass_broken=True))

    assert chunk.broken.tolist() == [False, False, True]


def test_a_column_of_text_that_is_no_time_is_refused(tmp_path):
    columns = {"at": ["yesterday", "noon", "later"], "value": [1.0, 2.0, 3.0]}
    path = write(tmp_path / "a.parquet", columns)

    with pytest.raises(SourceError, match=r"column at: expected a time, got 'yesterday'.*3 of 3"):
        opened(path, ONE)


def test_single_texts_that_are_no_times_are_unusable_rows(tmp_path):
    columns = {"at": ["2026-11-22", "2026-02-30", "2026-11-23"], "value": [1.0, 2.0, 3.0]}
    source = opened(write(tmp_path / "a.parquet", columns), ONE)
    source.tolerant = True

    assert read(source).numbers == [0, 2, 1]


def test_a_missing_time_column_is_named(tmp_path):
    path = write(tmp_path / "a.parquet", {"machine": ["a"], "time": seconds(0), "value": [1.0]})

    with pytest.raises(SchemaError, match=r"missing: 'at'"):
        opened(path)


def test_a_time_column_that_one_file_lacks_is_named_with_the_file(tmp_path):
    write(tmp_path / "in/0.parquet", machines(["a"], [0]))
    write(tmp_path / "in/1.parquet", {"machine": ["a"], "value": np.ones(1, np.float32)})

    with pytest.raises(SchemaError, match=r"1.parquet: columns do not match: missing: 'at'"):
        opened(tmp_path / "in")


def test_a_table_needs_a_column_of_times(tmp_path):
    path = write(tmp_path / "a.parquet", {"value": [1.0]})

    with pytest.raises(SourceError, match=r"expected series\.time, the column that orders"):
        opened(path, SeriesOrder())


def test_a_column_that_cannot_order_rows_is_refused(tmp_path):
    path = write(tmp_path / "a.parquet", {"at": [True, False], "value": [1.0, 2.0]})

    with pytest.raises(SourceError, match=r"column at: expected times or numbers.*got bool"):
        opened(path, ONE)


def test_a_sensor_that_is_missing_tonight_is_named(tmp_path):
    path = write(tmp_path / "a.parquet", machines(["a"], [0]))
    model = {"value": ("number",), "pressure": ("number",)}

    with pytest.raises(SchemaError, match="missing: 'pressure'"):
        opened(path, columns=[*model], kinds=model)


def test_a_sensor_that_holds_text_tonight_is_named(tmp_path):
    path = write(tmp_path / "a.parquet", machines(["a"], [0]) | {"pressure": ["high"]})
    model = {"value": ("number",), "pressure": ("number",)}

    with pytest.raises(SchemaError, match=r"of another kind: 'pressure' \(string, not a number\)"):
        opened(path, columns=[*model], kinds=model)


def test_a_table_without_numbers_is_refused(tmp_path):
    path = write(tmp_path / "a.parquet", {"at": seconds(0), "state": ["on"]})

    with pytest.raises(SourceError, match=r"no column that a window can see: .*state \(no number"):
        opened(path, ONE)


def test_a_gap_in_a_sensor_is_named_by_its_row_in_the_file(tmp_path):
    columns = machines(["b", "a", "b"], [0, 0, 1])
    columns["value"] = pa.array([1.0, 2.0, None])
    path = write(tmp_path / "a.parquet", columns)

    with pytest.raises(SourceError, match=r"a.parquet: row 2, column value: expected a number"):
        read(opened(path))


def test_a_gap_in_whole_numbers_is_an_unusable_row(tmp_path):
    columns = machines(["b", "a", "b"], [0, 0, 1]) | {"value": pa.array([1, None, 3])}
    source = opened(write(tmp_path / "a.parquet", columns))
    with pytest.raises(SourceError, match="row 1: expected a number in every column, got a gap"):
        read(source)
    source.tolerant = True

    assert read(source).usable == [False, True, True]


def test_mixed_offsets_from_utc_are_one_order(tmp_path):
    texts = ["2026-11-22T02:00:00+02:00", "2026-11-22T00:00:01Z", "2026-11-22 00:00:02"]
    texts += ["2026-11-21T23:00:03-0100", "2026-11-22 04:00:04 +04"]
    path = write(tmp_path / "a.parquet", {"at": texts, "value": [0.0, 1.0, 2.0, 3.0, 4.0]})

    assert read(opened(path, ONE)).times == [0, 1, 2, 3, 4]


def test_an_hour_that_the_clock_repeats_is_no_step_back(tmp_path):
    utc = pa.array([0, 1_800, 3_600, 5_400], pa.timestamp("s", "UTC"))
    summer_ends = 1_792_886_400  # 2026-10-25 00:00 UTC, an hour before clocks go back
    local = pa.array([each + summer_ends for each in utc.cast(pa.int64()).to_pylist()])
    path = tmp_path / "a.parquet"
    times = local.cast(pa.timestamp("s", "Europe/Berlin"))
    source = opened(write(path, {"at": times, "value": [0.0, 1.0, 2.0, 3.0]}), ONE)

    assert np.diff(read(source).times).tolist() == [1_800] * 3
    assert source.series.back == 0


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_of_every_unit_are_nanoseconds(tmp_path, unit):
    path = write(
        tmp_path / "a.parquet", {"at": seconds(0, 2).cast(pa.timestamp(unit)), "value": [0.0, 1.0]}
    )
    chunk = next(opened(path, ONE).chunks(max_rows=9))

    assert chunk.series.times.dtype == np.int64
    assert np.diff(chunk.series.times).tolist() == [2_000_000_000]
    assert read(opened(path, ONE)).times == [0, 2]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_days_that_are_clear_order_rows_however_they_are_written(tmp_path, suffix):
    path, times = tmp_path / f"a.{suffix}", ["2.1.1970 00:00:05", "1970/01/02", "1 Jan 1970"]
    if suffix == "csv":
        path.write_text("at,value\n" + "".join(f"{each},0\n" for each in times))
    else:
        write(path, {"at": times, "value": [0.0, 0.0, 0.0]})

    assert np.diff(read(opened(path, ONE)).times).tolist() == [86_400, 5]


def test_a_time_beyond_nanoseconds_is_no_time(tmp_path):
    never = pa.array([0, 253_402_300_799, 5], pa.timestamp("s"))  # the end of 9999
    source = opened(write(tmp_path / "a.parquet", {"at": never, "value": [0.0, 1.0, 2.0]}), ONE)
    source.tolerant = True

    assert read(source).numbers == [0, 2, 1]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_numbers_order_rows_in_their_own_unit(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    if suffix == "csv":
        path.write_text("at,value\n1600000001.5,1\n1600000000,0\n1600000011.5,2\n")
    else:
        write(path, {"at": [1600000001.5, 1600000000, 1600000011.5], "value": [1.0, 0, 2]})
    source = opened(path, SeriesOrder("at", gap=5))

    assert read(source).times == [1600000000, 1600000001.5, 1600000011.5]
    assert read(source).starts == [True, False, True]
    assert source.series.typical_step == 5.75


def test_an_empty_table_has_no_series(tmp_path):
    source = opened(write(tmp_path / "a.parquet", machines([], [])))

    assert read(source).numbers == []
    assert (source.n_rows, source.series.segments) == (0, 0)


def test_an_empty_file_beside_others_changes_nothing(tmp_path):
    write(tmp_path / "in/0.parquet", machines([], []))
    write(tmp_path / "in/1.parquet", machines(["a", "a"], [0, 1]))

    assert read(opened(tmp_path / "in")).times == [0, 1]


def test_a_broken_file_among_several_can_be_left_out(tmp_path):
    write(tmp_path / "in/0.parquet", machines(["a", "a"], [0, 1]))
    (tmp_path / "in/1.parquet").write_bytes(b"PAR1, truncated")
    source = opened(tmp_path / "in", only_sound=True)

    assert read(source).times == [0, 1]
    assert source.broken[0][0] == "1.parquet"


def test_a_gap_must_be_longer_than_nothing():
    with pytest.raises(ValueError, match=r"series\.gap must be longer than 0"):
        SeriesOrder("at", gap=0)


def test_times_count_from_1970(tmp_path):
    chunk = next(opened(write(tmp_path / "a.parquet", machines(["a"], [0]))).chunks(max_rows=1))

    assert np.datetime64(int(chunk.series.times[0]), "ns") == np.datetime64(START)
