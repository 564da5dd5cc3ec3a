"""Columns of a row as dots on their clean ranges."""

from __future__ import annotations

import math

import pytest

from storage.pages.nights.dots import BAND, draw_dots


def column(actual, low=0.0, high=10.0, words="", expected=5.0):
    texts = {"actual_text": f"{actual:g}", "expected_text": f"{expected:g}", "words": words}
    return {
        "name": "a",
        "actual": actual,
        "expected": expected,
        "share": 0.5,
        "low": low,
        "high": high,
        **texts,
    }


@pytest.mark.parametrize(("actual", "place"), [(0.0, BAND[0]), (5.0, 50.0), (10.0, BAND[1])])
def test_the_clean_range_is_the_band_whatever_the_units(actual, place):
    first, second = draw_dots([column(actual), column(1e6 * actual, 0.0, 1e7)])

    assert first.actual_at == second.actual_at == place


def test_values_farther_out_stand_farther_out_and_never_leave_the_plot():
    places = [draw_dots([column(value)])[0].actual_at for value in (11, 100, 1e4, 1e12, math.inf)]

    assert places == sorted(places)
    assert BAND[1] < places[0] < places[1] < places[2] <= places[4] < 100


def test_a_gap_has_no_dot_and_a_constant_column_one_on_its_value():
    gap, constant, moved = draw_dots([column(math.nan), column(3, 3, 3), column(4, 3, 3)])

    assert gap.actual_at is None
    assert constant.actual_at == BAND[0]
    assert moved.actual_at > BAND[1]


def test_a_column_without_a_range_says_what_stands_out():
    words = "a 7 never seen in fit rows (3 levels known)"
    [dot] = draw_dots([column(7, math.nan, math.nan, words)])

    assert (dot.usual, dot.note) == ("", "never seen in fit rows (3 levels known)")
    assert dot.actual_at is None
