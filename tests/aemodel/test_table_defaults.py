"""Default settings for tables."""

from __future__ import annotations

from aemodel.table_defaults import BATCH, STEPS, table_epochs


def test_epochs_amount_to_the_same_number_of_steps_whatever_the_number_of_rows():
    assert table_epochs(20 * BATCH) * 20 == STEPS


def test_many_rows_are_seen_twice():
    assert table_epochs(10**7) == 2
