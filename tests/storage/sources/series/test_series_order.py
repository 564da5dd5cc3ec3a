"""Rows in series order: by entity, then by time, wherever they lie."""

from __future__ import annotations

import gzip
from dataclasses import replace

import h5py
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from series_sources import MACHINES, machines, opened, read, seconds, write

from storage.errors import SourceError
from storage.sources import plan_shards
from storage.sources.columns import written_values
from storage.sources.series import key_values
from storage.sources.series.opening import open_series
from storage.sources.series.order import FILE, SeriesOrder, SortSpace, show_step


def test_interleaved_entities_are_read_one_after_another(tmp_path):
    path = write(tmp_path / "a.parquet", machines(["b", "a", "b", "a"], [0, 0, 1, 1]))

    found = read(opened(path))

    assert found.entities == ["a", "a", "b", "b"]
    assert found.times == [0, 1, 0, 1]
    assert found.numbers == [1, 3, 0, 2]
    assert found.values == [[1], [3], [0], [2]]


def test_rows_in_series_order_are_read_where_they_are(tmp_path):
    path = write(tmp_path / "a.parquet", machines(["b", "b", "a"], [5, 6, 0]))
    source = opened(path)

    assert read(source).numbers == [0, 1, 2]
    assert source.entities == ("a", "b")
    assert not (tmp_path / "work").exists()


def test_entities_have_the_same_codes_whatever_the_order_of_rows(tmp_path):
    found = []
    for name, rows in {"x": ["b", "a"], "y": ["a", "b"]}.items():
        source = opened(write(tmp_path / f"{name}.parquet", machines(rows, [0, 0])))
        found.append(source.entities)

    assert found == [("a", "b"), ("a", "b")]


def test_files_of_successive_days_are_one_series_read_in_place(tmp_path):
    for day in range(3):
        write(tmp_path / f"in/{day}.parquet", machines(["a"] * 2, [10 * day, 10 * day + 5]))
    source = opened(tmp_path / "in")

    assert read(source).times == [0, 5, 10, 15, 20, 25]
    assert not (tmp_path / "work").exists()


def test_files_whose_names_are_not_in_the_order_of_time_are_sorted(tmp_path):
    write(tmp_path / "in/a.parquet", machines(["m", "m"], [10, 11]))
    write(tmp_path / "in/b.parquet", machines(["m", "m"], [0, 1]))
    source = opened(tmp_path / "in")
    found = read(source)

    assert (found.times, found.numbers) == ([0, 1, 10, 11], [2, 3, 0, 1])
    assert [source.locate(number)[0].name for number in found.numbers[::2]] == [
        "b.parquet",
        "a.parquet",
    ]
    chunk = next(source.chunks(max_rows=4))
    assert chunk.series.files.tolist() == [1, 1, 0, 0]


def test_each_file_can_be_a_series(tmp_path):
    write(tmp_path / "in/x.parquet", {"at": seconds(5, 6), "value": [1.0, 2.0]})
    write(tmp_path / "in/y.parquet", {"at": seconds(1, 0), "value": [3.0, 4.0]})

    found = read(opened(tmp_path / "in", SeriesOrder("at", FILE)))

    assert found.entities == ["x.parquet", "x.parquet", "y.parquet", "y.parquet"]
    assert found.values == [[1], [2], [4], [3]]


def test_a_folder_can_name_the_entity(tmp_path):
    for machine in ("07", "3"):
        file = tmp_path / f"in/machine={machine}/part.parquet"
        write(file, {"at": seconds(1, 0), "value": [1.0, 2.0]})

    found = read(opened(tmp_path / "in"))

    assert found.entities == ["07", "07", "3", "3"]
    assert found.values == [[2], [1], [2], [1]]


def test_a_segment_begins_after_a_pause_longer_than_the_gap(tmp_path):
    path = write(tmp_path / "a.parquet", machines(["a"] * 5 + ["b"], [0, 1, 3, 13, 14, 15]))
    source = opened(path, replace(MACHINES, gap=9))

    assert read(source).starts == [True, False, False, True, False, True]
    assert read(source, 4).starts == [False, True]  # as seen from any row
    assert (source.series.segments, source.series.entities) == (3, 2)


@pytest.mark.parametrize("most", [0, 1_000])
def test_times_are_read_along_or_known_as_runs_of_equal_steps(tmp_path, monkeypatch, most):
    monkeypatch.setattr("storage.sources.series.statistics.MOST_TIME_RUNS", most)
    offsets = [0, 1, 2, 7, 8, 8, 20, 5, 6]
    path = write(tmp_path / "a.parquet", machines(["a"] * 7 + ["b"] * 2, offsets))
    source = opened(path)

    assert read(source).times == offsets
    assert read(source, 4, 8).times == offsets[4:8]
    assert source.original.keys == (() if most else ("at",))


def test_ids_stay_with_their_rows(tmp_path):
    columns = machines(["b", "a", "b"], [0, 0, 1])
    path = write(tmp_path / "a.parquet", columns | {"text": ["x", "yy", "ü"], "whole": [7, 8, 9]})

    assert read(opened(path, id="text")).ids == ["yy", "x", "ü"]
    assert read(opened(path, id="whole")).ids == [8, 7, 9]


def test_columns_that_are_no_numbers_are_named_as_not_read(tmp_path):
    columns = machines(["a", "a"], [0, 1]) | {"open": [True, False], "note": ["x", "y"]}
    source = opened(write(tmp_path / "a.parquet", columns))

    assert source.schema.columns == ("value", "open")
    assert read(source).values == [[0, 1], [1, 0]]
    assert source.unread == {
        "at": "orders the rows of series",
        "machine": "names the series",
        "note": "no number; with [series], windows see numbers only",
    }


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "jsonl"])
def test_text_formats_are_copied_since_they_are_read_from_their_start(tmp_path, suffix):
    csv = "at,machine,value\n2026-11-22 00:00:00,a,0\n2026-11-22 00:00:01,a,1\n"
    json = "".join(
        f'{{"at": "2026-11-22T00:00:0{row}Z", "machine": "a", "value": {row}}}\n' for row in (1, 0)
    )
    content = (json if suffix == "jsonl" else csv).encode()
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)

    found = read(opened(path))

    assert (found.times, found.values) == ([0, 1], [[0], [1]])
    assert (tmp_path / "work").exists()


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.h5"])
def test_rows_of_an_array_are_steps_of_one_series(tmp_path, name):
    rows = np.arange(12.0).reshape(6, 2)
    if name == "a.h5":
        with h5py.File(tmp_path / name, "w") as file:
            file["rows"] = rows
    else:
        (np.save if name == "a.npy" else np.savez)(tmp_path / name, rows)
    source = opened(tmp_path / name, SeriesOrder())
    found = read(source)

    assert found.values == rows.tolist()
    assert (found.times, found.starts) == ([0, 1, 2, 3, 4, 5], [True] + [False] * 5)
    assert source.series.typical_step == 1


def test_an_array_has_no_column_of_times(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 2)))

    with pytest.raises(Exception, match=r"expected a table.*names the columns at, machine"):
        opened(tmp_path / "a.npy")


def test_the_snapshot_has_the_same_bytes_whatever_the_memory(tmp_path, random):
    names = random.choice(["a", "b", "c"], 3_000).tolist()
    path = write(tmp_path / "a.parquet", machines(names, random.integers(0, 999, 3_000).tolist()))
    found = []
    for memory in (20_000, 10**8):
        folder = tmp_path / f"work-{memory}"
        open_series(path, MACHINES, SortSpace(folder, memory))
        files = sorted(folder.glob("series-*/*"))
        found.append([file.read_bytes() for file in files])

    assert found[0] == found[1]
    assert len(found[0]) == 2


def test_the_snapshot_is_found_again(tmp_path, monkeypatch):
    path = write(tmp_path / "a.parquet", machines(["b", "a", "b"], [0, 0, 1]))
    first = opened(path)
    monkeypatch.setattr("storage.sources.series.opening.sort_rows", None)  # is not called
    again = opened(path)

    assert read(again) == read(first)
    assert again.fingerprint() == first.fingerprint()
    assert again.facts == first.facts


def test_other_input_has_another_snapshot(tmp_path):
    path = write(tmp_path / "a.parquet", machines(["b", "a", "b"], [0, 0, 1]))
    opened(path)
    write(path, machines(["b", "a", "b", "a"], [0, 0, 1, 1]))

    assert read(opened(path)).numbers == [1, 3, 0, 2]


def test_a_failed_sort_leaves_nothing_behind(tmp_path, monkeypatch):
    path = write(tmp_path / "a.parquet", machines(["b", "a", "b"], [0, 0, 1]))
    monkeypatch.setattr(
        "storage.sources.series.snapshot.SnapshotWriter.append", lambda self, rows: 1 / 0
    )

    with pytest.raises(ZeroDivisionError, match="division"):
        opened(path)
    assert [file.suffix for file in (tmp_path / "work").iterdir()] == [".lock"]


def test_shards_end_where_entities_end(tmp_path):
    names = [name for name in "abcd" for _ in range(10)]
    source = opened(write(tmp_path / "a.parquet", machines(names, [*range(10)] * 4)))

    assert [shard.stop for shard in plan_shards(source, 25 * 4)] == [20, 40]


Row = st.tuples(st.sampled_from("abc"), st.integers(0, 20))


@given(rows=st.lists(Row, min_size=1, max_size=40), data=st.data())
def test_any_part_reads_as_it_does_within_the_whole(tmp_path_factory, rows, data):
    folder = tmp_path_factory.mktemp("series")
    names, times = zip(*rows, strict=True)
    path = write(folder / "a.parquet", machines(names, times), rows_in_group=7)
    source = opened(
        path, replace(MACHINES, gap=3), memory=data.draw(st.sampled_from([2_000, 10**8]))
    )
    whole = read(source)
    start = data.draw(st.integers(0, len(rows)))
    stop = data.draw(st.integers(start, len(rows)))

    order = [*dict.fromkeys(whole.entities)]
    assert whole.numbers == sorted(
        range(len(rows)), key=lambda row: (order.index(names[row]), times[row], row)
    )
    part = read(source, start, stop, max_rows=data.draw(st.integers(1, 9)))
    assert part == type(whole)(*(column[start:stop] for column in whole))


def test_steps_are_shown_as_durations():
    shown = [show_step(step, in_seconds=True) for step in (0.5, 1, 90, 300, 7_200, 86_400)]

    assert shown == ["0.5 s", "1 s", "90 s", "5 min", "2 h", "1 d"]
    assert show_step(2.5, in_seconds=False) == "2.5"


def test_facts_tell_the_typical_step_and_how_many_differ(tmp_path):
    source = opened(write(tmp_path / "a.parquet", machines(["a"] * 6, [0, 60, 120, 180, 240, 500])))

    assert source.series.typical_step == 60
    assert source.facts["series"] == "1 entity, 1 segment"
    assert source.facts["typical step"] == "1 min; 20.0% of the steps differ"


def test_decimals_and_dictionaries_are_sensors_and_entities(tmp_path):
    columns = {
        "machine": pa.array(["b", "a", "b"]).dictionary_encode(),
        "at": seconds(0, 0, 1),
        "value": pa.array([1, 2, 3], pa.decimal128(5, 2)),
    }
    found = read(opened(write(tmp_path / "a.parquet", columns)))

    assert (found.entities, found.values) == (["a", "b", "b"], [[2], [1], [3]])


def test_texts_that_begin_with_no_date_are_not_parsed_one_by_one(monkeypatch):
    def one_by_one(*_):
        raise AssertionError("parsed one by one")

    monkeypatch.setattr(written_values, "_cast_one", one_by_one)
    texts = pa.array(["12:30", "shop 7", "2024-01-02", None, "2024-01-02 03:04"])
    times, known = key_values.read_times(texts, numbers=False)
    assert known.tolist() == [True, False, True, False, True]
    assert times[4] - times[2] == (3 * 60 + 4) * 60 * 10**9


def test_times_as_servers_log_them_or_in_half_days_are_moments():
    texts = ["[02/Jan/2024:03:04:00 +0100]", "2024-01-02 02:04 AM", "2.1.2024 2:04", "x"]
    times, known = key_values.read_times(pa.array(texts), numbers=False)
    assert known.tolist() == [True, True, True, False]
    assert times[0] == times[1] == times[2]


def test_days_of_unclear_order_are_told_what_to_set(tmp_path):
    lines = [f"2/{1 + row}/2026,{row}" for row in range(9)]
    (tmp_path / "a.csv").write_text("\n".join(["at,heat", *lines]))

    with pytest.raises(SourceError, match=r"got '2/1/2026'; does the month .* set data\.csv\.days"):
        open_series(tmp_path / "a.csv", SeriesOrder("at"), SortSpace(tmp_path / "work", 1_000))
