"""Settings of windows, and the window that is chosen."""

from __future__ import annotations

import pytest
from moving import fitted, sensor_rows

from aemodel.errors import DataError, SettingsError
from aemodel.series.fitting.fit import choose_window
from aemodel.series.settings import AUTO, Baseline, WindowSettings


@pytest.mark.parametrize(("window", "near"), [(8, 16), (100, 96), (5000, 4096)])
def test_a_window_must_be_a_multiple_of_eight_within_limits(window, near):
    with pytest.raises(SettingsError, match=rf"series.window .*Got {window}.*nearest is {near}"):
        WindowSettings(window=window)


def test_a_stride_must_divide_an_eighth_of_the_window():
    with pytest.raises(SettingsError, match=r"series.stride must divide .* 8 rows. Got 3"):
        WindowSettings(window=64, stride=3)


def test_a_stride_needs_a_window():
    with pytest.raises(SettingsError, match=r"series.stride needs a number for series.window"):
        WindowSettings(stride=2)


@pytest.mark.parametrize("text", ["none", "entity", "warmup 400"])
def test_a_baseline_is_written_as_it_is_read(text):
    assert str(Baseline.parse(text)) == text


@pytest.mark.parametrize("text", ["warmup", "warmup 0", "pool", ""])
def test_an_unknown_baseline_is_refused(text):
    with pytest.raises(SettingsError, match=r"series.baseline must be 'none'"):
        Baseline.parse(text)


@pytest.mark.parametrize(("longest", "window"), [(10**6, 128), (384, 128), (383, 64), (20, 16)])
def test_the_window_is_128_rows_or_at_most_a_third_of_the_longest_piece(longest, window):
    assert choose_window(longest) == window


def test_clean_series_shorter_than_two_windows_are_refused():
    with pytest.raises(DataError, match=r"two windows of 64 rows.* has 127"):
        fitted(sensor_rows(127))


@pytest.mark.parametrize("count", [96, 127, 192, 255, 384, 511])
def test_the_window_that_is_chosen_leaves_clean_rows_to_calibrate_on(count):
    model = fitted(sensor_rows(count), window=AUTO)

    assert model.calibration.rows == count
