"""Default settings for tables."""

from __future__ import annotations

import pytest

from aemodel.table_defaults import BATCH, STEPS, table_epochs


@pytest.mark.parametrize("mixed", [False, True])
def test_epochs_amount_to_the_same_number_of_steps_whatever_the_number_of_rows(mixed):
    assert table_epochs(20 * BATCH, mixed=mixed) * 20 == STEPS


def test_many_rows_are_seen_three_times_and_twice_where_levels_make_steps_costly():
    assert table_epochs(10**7) == 3
    assert table_epochs(10**7, mixed=True) == 2
