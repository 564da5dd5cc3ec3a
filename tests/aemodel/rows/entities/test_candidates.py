"""Columns that may name entities."""

from __future__ import annotations

import numpy as np
import pytest

from aemodel.rows.entities.candidates import may_name_entities, may_number_entities


def rows_of(levels: int, apart: float, n: int = 2_000) -> np.ndarray:
    """Rows of levels whose means have the standard deviation `apart`, beside noise of 1."""
    random = np.random.default_rng(0)
    which = random.integers(0, levels, n)
    means = random.normal(0, apart, (levels, 2))
    return np.column_stack([which, means[which] + random.normal(size=(n, 2))])


@pytest.mark.parametrize(
    ("levels", "apart", "found"),
    [(50, 3.0, True), (50, 0.5, False), (50, 0.0, False), (3, 9.0, False), (1_500, 9.0, False)],
)
def test_a_category_is_one_if_numbers_differ_more_between_its_levels_than_within(
    levels, apart, found
):
    rows = rows_of(levels, apart)

    assert may_name_entities(rows[:, 0], rows[:, 1:]) == found


def test_gaps_and_a_constant_number_do_no_harm():
    rows = rows_of(50, 3.0)
    rows[::3, 1], rows[:, 2] = np.nan, 4.0
    rows[::10, 0] = np.nan

    assert not may_name_entities(rows[:, 0], rows[:, 1:])


def test_whole_numbers_are_one_if_their_order_tells_nothing():
    rows = rows_of(50, 3.0)
    numbers, others = rows[:, 0], rows[:, 1:]
    in_order = np.column_stack([numbers, np.sqrt(numbers)]) + others / 10

    assert may_number_entities(numbers, others)
    assert may_name_entities(numbers, in_order)
    assert not may_number_entities(numbers, in_order)
    assert not may_number_entities(numbers + 0.5, others)
    assert not may_number_entities(np.where(numbers == 3, np.nan, numbers), others)
