"""Rows on a regular grid of time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from series_sources import MACHINES, machines, opened, read, seconds, write

from storage.errors import SourceError
from storage.sources.series.order import SeriesOrder

TENS = replace(MACHINES, resample=10)


def test_a_step_has_the_mean_of_its_rows(tmp_path):
    path = write(tmp_path / "a.parquet", machines(["a"] * 4, [1, 9, 10, 25]))
    found = read(opened(path, TENS))

    assert found.times == [0, 10, 20]
    assert found.values == [[0.5], [2], [3]]
    assert found.numbers == [0, 2, 3]


def test_steps_of_entities_do_not_mix(tmp_path):
    path = write(tmp_path / "a.parquet", machines(["b", "a", "b", "a"], [0, 1, 2, 3]))
    found = read(opened(path, TENS))

    assert (found.entities, found.values) == (["a", "b"], [[2], [1]])


def test_an_empty_step_repeats_the_row_before_it(tmp_path):
    path = write(tmp_path / "a.parquet", machines(["a", "a"], [0, 31]))
    source = opened(path, TENS)
    found = read(source)

    assert (found.times, found.values) == ([0, 10, 20, 30], [[0], [0], [0], [1]])
    assert found.numbers == [0, 0, 0, 1]
    assert source.facts["rows held"].startswith("2 (of empty steps")


def test_a_pause_longer_than_the_gap_is_not_filled(tmp_path):
    path = write(tmp_path / "a.parquet", machines(["a"] * 3, [0, 20, 50]))
    source = opened(path, replace(TENS, gap=20))
    found = read(source)

    assert (found.times, found.starts) == ([0, 10, 20, 50], [True, False, False, True])


def test_a_pause_of_very_many_steps_is_not_filled(tmp_path):
    path = write(tmp_path / "a.parquet", machines(["a", "a"], [0, 10**6]))

    assert len(read(opened(path, TENS)).times) == 2


def test_a_gap_does_not_count_in_the_mean(tmp_path):
    columns = {
        "at": seconds(0, 1, 10),
        "x": pa.array([None, 4.0, None]),
        "y": pa.array([2.0, 4.0, 6.0]),
    }
    found = read(
        opened(
            write(tmp_path / "a.parquet", columns), SeriesOrder("at", resample=10), missing="impute"
        )
    )

    np.testing.assert_equal(found.values, [[4, 3], [np.nan, 6]])


def test_a_gap_in_whole_numbers_does_not_count_in_the_mean(tmp_path):
    columns = machines(["a"] * 3, [0, 1, 10]) | {"value": pa.array([None, 4, None])}
    source = opened(write(tmp_path / "a.parquet", columns), TENS)
    source.tolerant = True
    found = read(source)

    assert (found.values[0], found.usable) == ([4], [True, False])


@pytest.mark.parametrize("memory", [3_000, 10**8])
def test_the_grid_does_not_depend_on_the_memory(tmp_path, random, memory):
    offsets = np.sort(random.integers(0, 2_000, 500))
    path = write(tmp_path / "a.parquet", machines(["a"] * 500, offsets.tolist()))
    found = read(opened(path, TENS, memory=memory), max_rows=7)
    bins = offsets // 10
    expected = [np.arange(500)[bins == each].mean() for each in np.unique(bins)]
    own = [
        value
        for value, held in zip(found.values, np.diff([-1, *found.numbers]), strict=True)
        if held
    ]

    np.testing.assert_allclose(np.ravel(own), expected, rtol=1e-6)
    assert np.unique(np.diff(found.times)).tolist() == [10]


def test_numbers_are_binned_in_their_own_unit(tmp_path):
    columns = {"at": np.arange(8) / 10, "value": np.arange(8.0)}
    source = opened(write(tmp_path / "a.parquet", columns), SeriesOrder("at", resample=0.2))

    assert read(source).values == [[0.5], [2.5], [4.5], [6.5]]


def test_steps_of_an_array_are_whole(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(10, dtype=np.int16))

    assert read(opened(tmp_path / "a.npy", SeriesOrder(resample=4))).values == [[1.5], [5.5], [8.5]]
    with pytest.raises(SourceError, match="expected a whole number of steps"):
        opened(tmp_path / "a.npy", SeriesOrder(resample=1.5))
