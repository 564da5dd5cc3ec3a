"""The last rows of the night before are read along, so that no window is lost at midnight."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from series_sources import MACHINES, machines, opened, read, seconds, write

from flows.engine.shard_tasks import merge_chunks
from storage.sources.series.opening import open_series
from storage.sources.series.order import FILE, NightBefore, SeriesOrder, SortSpace


@pytest.fixture
def nights(tmp_path):
    """Two machines on two nights, a third on one night each; interleaved."""
    write(tmp_path / "1.parquet", machines(["b", "a", "old", "b", "a"], [0, 1, 1, 2, 3]))
    write(tmp_path / "2.parquet", machines(["b", "new", "a", "b"], [10, 10, 11, 12]))
    return tmp_path


def with_before(nights, rows=1, before="1.parquet", **how):
    earlier = NightBefore(nights / before, rows)
    return opened(nights / "2.parquet", before=earlier, **how)


def test_the_last_rows_stand_in_front_of_each_entity(nights):
    found = read(with_before(nights))

    assert found.entities == ["a", "a", "b", "b", "b", "new"]
    assert found.times == [3, 11, 2, 10, 12, 10]
    assert found.context == [True, False, True, False, False, False]
    assert found.starts == [True, False, True, False, False, True]


def test_row_numbers_refer_to_each_nights_own_rows(nights):
    assert read(with_before(nights)).numbers == [4, 2, 3, 0, 3, 1]


def test_a_pause_between_the_nights_starts_a_segment(nights):
    source = with_before(nights, order=replace(MACHINES, gap=8))

    assert read(source).starts == [True, False, True, False, False, True]
    assert read(with_before(nights, order=replace(MACHINES, gap=5))).starts[1]


def test_rows_in_place_have_the_rows_before_woven_in(tmp_path):
    write(tmp_path / "1.parquet", machines(["a"] * 3 + ["b"] * 3, [0, 1, 2] * 2))
    write(tmp_path / "2.parquet", machines(["a"] * 3 + ["b"] * 3, [3, 4, 5] * 2))
    source = with_before(tmp_path, 2)
    found = read(source)

    assert found.times == [1, 2, 3, 4, 5] * 2
    assert not (tmp_path / "work").exists()
    assert source.rows_of("b") == (5, 10)
    assert read(source, 4, 7).times == [5, 1, 2]


def test_rows_that_do_not_lie_before_tonight_are_left_out(nights):
    write(nights / "1.parquet", machines(["a", "a", "b"], [1, 11, 99]))
    source = with_before(nights, 9)

    assert read(source).times == [1, 11, 10, 12, 10]
    assert source.facts["rows of the night before"] == "1, of 1 of the entities"


@pytest.mark.parametrize("content", [None, b"", b"no table"])
def test_a_night_before_that_cannot_be_read_is_none(nights, content):
    (nights / "1.parquet").unlink()
    if content is not None:
        (nights / "1.parquet").write_bytes(content)
    source = with_before(nights)

    assert not any(read(source).context)
    assert source.facts["rows of the night before"].startswith("not read along: ")


def test_a_night_before_without_a_sensor_is_none(nights):
    columns = machines(["a"], [0])
    write(nights / "1.parquet", {name: columns[name] for name in ("machine", "at")} | {"x": [1.0]})
    source = with_before(nights)

    assert not any(read(source).context)
    assert "missing: 'value'" in source.facts["rows of the night before"]


def test_a_gap_in_the_night_before_is_no_error(nights):
    columns = machines(["a", "a"], [0, 1]) | {"value": pa.array([None, None], pa.float32())}
    write(nights / "1.parquet", columns)
    found = read(with_before(nights))

    assert found.context[0]
    assert np.isnan(found.values[0][0])


def test_the_fingerprint_says_what_was_read_along(nights):
    prints = {with_before(nights, rows).fingerprint() for rows in (1, 2)}
    prints.add(opened(nights / "2.parquet").fingerprint())

    assert len(prints) == 3


def test_ids_of_the_night_before_are_read_along(nights):
    for night in "12":
        columns = machines(["b", "a"], [10 * int(night)] * 2)
        write(nights / f"{night}.parquet", columns | {"id": [f"{night}b", f"{night}a"]})

    assert read(with_before(nights, id="id")).ids == ["1b", "2b", "1a", "2a"]


def test_an_array_goes_on_where_that_of_the_night_before_ended(tmp_path):
    np.save(tmp_path / "1.npy", np.arange(5.0))
    np.save(tmp_path / "2.npy", np.arange(5.0, 8.0))
    earlier = NightBefore(tmp_path / "1.npy", 2)
    found = read(opened(tmp_path / "2.npy", SeriesOrder(gap=1), before=earlier))

    assert found.times == [-2, -1, 0, 1, 2]
    assert found.values == [[3], [4], [5], [6], [7]]
    assert found.starts == [True, False, False, False, False]


def test_files_named_as_the_night_before_are_the_same_series(tmp_path):
    for night, first in {"1": 0, "2": 2}.items():
        file = tmp_path / night / "pump.parquet"
        write(file, {"at": seconds(first, first + 1), "value": [0.0, 1.0]})
        write(tmp_path / night / "fan.parquet", {"at": seconds(first), "value": [2.0]})
    source = open_series(
        tmp_path / "2",
        SeriesOrder("at", FILE),
        SortSpace(tmp_path / "work"),
        before=NightBefore(tmp_path / "1", 1),
    )

    assert read(source).times == [0, 2, 1, 2, 3]


def test_chunks_keep_their_series_when_they_are_joined_or_without_unusable_rows(nights):
    source = with_before(nights)
    whole = merge_chunks(list(source.chunks(max_rows=2)))
    one = next(source.chunks(max_rows=9))
    part = replace(one, usable=np.array([True, False] * 3)).usable_part()

    assert whole.series.times.tolist() == one.series.times.tolist()
    assert whole.row_numbers.tolist() == one.row_numbers.tolist()
    assert part.series.entities.tolist() == one.series.entities[::2].tolist()
