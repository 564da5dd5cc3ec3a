"""Numbers side by side differ as texts if they differ as numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aemodel.explain.number_pairs import format_pair

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
