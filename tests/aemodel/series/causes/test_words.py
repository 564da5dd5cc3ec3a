"""Causes of planted events, in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from moving import clean_series, sensor_rows

from aemodel.series.causes.event import EventRows, explain_event
from aemodel.series.fitting.fit import fit_series
from aemodel.series.settings import WindowSettings

AT, LENGTH = 300, 100


@pytest.fixture(scope="module")
def model():
    return fit_series(clean_series(sensor_rows(8000)), WindowSettings(window=64))


def explained(model, change, *, sensor=2, length=LENGTH):
    """The cause of an event in which a sensor's values (length,) are changed."""
    rows = sensor_rows(700, seed=4)
    values = rows[AT : AT + length, sensor]
    values[:] = change(values)
    event = EventRows(rows=rows, start=AT - 30, stop=AT + length + 30)
    return explain_event(model, event)


def test_a_sensor_that_stands_still(model):
    cause = explained(model, lambda values: np.full_like(values, values[0]))

    assert cause.words.startswith("s2 flat for 100 s while s")
    assert cause.words.endswith(" moves")


def test_rows_without_time_are_counted(model):
    untimed = replace(model, in_seconds=False)
    cause = explained(untimed, lambda values: np.full_like(values, values[0]))

    assert cause.words.startswith("s2 flat for 100 rows while s")


def test_a_spike_names_its_value_and_the_clean_range(model):
    cause = explained(model, lambda values: values + 40, length=2)

    assert cause.words.startswith("s2 spikes to 89")
    assert " (clean 1–99 %: 4" in cause.words


def test_a_spike_downwards(model):
    assert explained(model, lambda values: values - 40, length=2).words.startswith("s2 drops to ")


def test_a_level_outside_of_the_clean_range(model):
    words = explained(model, lambda values: values + 20).words

    assert words.startswith("s2 ")
    assert words.endswith(" above its clean range for 100 s")


def test_a_sensor_that_moves_too_fast(model):
    fast = 1.5 * np.sin(np.arange(LENGTH) * np.pi / 2)

    assert "times as fast as usual" in explained(model, lambda values: values + fast).words


def test_sensors_that_no_longer_move_together(model):
    words = explained(model, lambda values: 2 * values.mean() - values, length=200).words

    assert words.startswith("s2 and s")
    assert "no longer move " in words


def test_a_missing_sensor(model):
    cause = explained(model, lambda values: np.full_like(values, np.nan))

    assert cause.words == "s2 missing for 100 s"
    assert cause.sensors[0].name == "s2"


def test_minutes_are_used_from_two_of_them_on(model):
    cause = explained(model, lambda values: np.full_like(values, np.nan), length=240)

    assert cause.words == "s2 missing for 4 min"
