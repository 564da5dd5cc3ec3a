"""Numbers side by side differ as texts if they differ as numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aemodel.explain.number_pairs import format_beyond, format_pair

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("actual", "expected", "texts"),
    [
        (1.766456e9, 1.763e9, ("1.7665e+09", "1.763e+09")),
        (59601.0, 65380.2, ("59,601", "65,380")),
        (1934.0, 1946.2, ("1934", "1946")),
        (2.0, 0.123456, ("2", "0.1235")),
        (100.00012, 100.0, ("100.00012", "100")),
        (0.0, 0.0005795, ("0", "0.0005795")),
        (-0.0, 0.0, ("0", "0")),
        (float("inf"), 1.0, ("inf", "1")),
        (float("nan"), 1.0, ("nan", "1")),
        (1e308, -1e308, ("1e+308", "-1e+308")),
    ],
)
def test_numbers_have_the_digits_that_tell_them_apart(actual, expected, texts):
    assert format_pair(actual, expected) == texts


@given(NUMBERS, NUMBERS)
def test_different_numbers_never_look_equal(actual, expected):
    left, right = format_pair(actual, expected)

    assert (left == right) == (actual == expected)


@pytest.mark.parametrize(
    ("value", "low", "high", "texts"),
    [
        (9120.4, 3.0, 410.0, ("9120", "3", "410")),
        (1.6118e9, 1.6119e9, 1.613e9, ("1.6118e+09", "1.6119e+09", "1.613e+09")),
        (410.25, 3.0, 410.0, ("410.25", "3", "410")),
    ],
)
def test_a_number_beyond_a_range_does_not_look_like_its_end(value, low, high, texts):
    assert format_beyond(value, low, high) == texts
