"""init warns about columns that tell a network nothing, or no amounts."""

from __future__ import annotations

import numpy as np
import pytest

from flows.jobs.proposal.column_checks import ColumnFindings, check_columns, warnings_of

N = 2_000


@pytest.fixture
def rows(random):
    return random.normal(size=(N, 4))


def test_ordinary_columns_give_no_findings(rows):
    assert check_columns(rows) == ColumnFindings(sampled=N)


def test_empty_and_constant_columns_are_found(rows):
    rows[:, 1], rows[:, 2] = np.nan, 7.0
    rows[5, 2] = np.nan
    found = check_columns(rows)

    assert (found.empty, found.constant) == ((1,), (2,))


def test_equal_columns_and_those_in_another_unit_are_paired_with_the_first(rows):
    rows[:, 1], rows[:, 2], rows[:, 3] = rows[:, 0], 32 + 1.8 * rows[:, 0], 1 - rows[:, 0]
    found = check_columns(rows)

    assert found.equal == ((1, 0),)
    assert found.linear == ((2, 0), (3, 0))


def test_equal_columns_with_gaps_are_found(rows):
    rows[::3, 0] = np.nan
    rows[:, 2] = rows[:, 0]

    assert check_columns(rows).equal == ((2, 0),)


@pytest.mark.parametrize(
    ("values", "are_codes"),
    [
        ([200, 301, 404, 500], True),
        ([10115, 20095, 50667, 80331], True),
        (range(6), False),
        (range(0, 101, 10), False),
        ([0, 1], False),
        ([0.5, 100.25, 999.0], False),
        (range(0, 40_000, 7), False),
    ],
)
def test_few_scattered_whole_numbers_look_like_codes(random, rows, values, are_codes):
    rows[:, 1] = random.choice(list(values), N)

    assert check_columns(rows).codes == ((1,) if are_codes else ())


def test_the_share_of_rows_that_repeat_is_named(rows):
    rows[:500] = rows[500:1000]
    words = dict(warnings_of(check_columns(rows), list("abcd"), "drop them"))

    assert ["25.0% of 2,000 rows sampled"] in words.values()


def test_a_few_rows_show_nothing():
    assert check_columns(np.zeros((5, 3))) == ColumnFindings(sampled=5)


@pytest.mark.parametrize(
    ("values", "are_numbered"),
    [
        ((10**15, 10**16), True),
        ((10**8, 10**8 + 1_000), False),
        ((1, 10**12), False),
    ],
)
def test_long_whole_numbers_that_hardly_repeat_may_number_cards(random, rows, values, are_numbered):
    rows[:, 1] = random.integers(*values, N)
    rows[0, 1] = values[0]

    assert check_columns(rows).numbered == ((1,) if are_numbered else ())
