"""Settings of windows, and the window that is chosen."""

from __future__ import annotations

import numpy as np
import pytest
from moving import fitted, sensor_rows

from aemodel.errors import DataError, SettingsError
from aemodel.series.period import choose_window
from aemodel.series.settings import Baseline, WindowSettings


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


def sines(period, n=4000):
    steps = np.arange(n)[:, None] + np.array([0, 7])
    noise = 0.1 * np.random.default_rng(0).normal(size=(n, 2))
    return (np.sin(2 * np.pi * steps / period) + noise).astype(np.float32)


@pytest.mark.parametrize(("period", "window"), [(20, 128), (120, 128), (250, 256), (400, 256)])
def test_the_window_is_128_rows_or_near_a_longer_period(period, window):
    assert choose_window([sines(period)]) == window


def test_the_window_is_at_most_a_third_of_the_longest_piece():
    assert choose_window([sines(120, n=200)]) == 64


def test_the_window_is_at_least_16_rows():
    assert choose_window([sines(120, n=20)]) == 16


def test_constant_sensors_have_a_window():
    assert choose_window([np.zeros((1000, 2), np.float32)]) == 128


def test_clean_series_shorter_than_two_windows_are_refused():
    with pytest.raises(DataError, match=r"two windows of 64 rows.* has 127"):
        fitted(sensor_rows(127))
