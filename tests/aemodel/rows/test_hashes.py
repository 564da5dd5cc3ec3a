"""Rows seen again: those of a sample among new rows, beyond chance."""

from __future__ import annotations

import numpy as np
import pytest

from aemodel.rows.hashes import SingleRows


def sample_of(rows):
    distinct, copies = np.unique(rows, axis=0, return_counts=True)
    return SingleRows.of(distinct, copies, len(rows))


def is_seen(kept, rows):
    return kept.beyond_chance(len(kept.seen_in(rows)), len(rows))


def test_a_day_of_the_sample_is_seen_again_in_any_order_and_type(random):
    clean = random.normal(size=(6000, 3)).astype(np.float32)
    kept = sample_of(clean[::3])

    assert is_seen(kept, clean[2000:2100][::-1].astype(np.float64))
    assert not is_seen(kept, random.normal(size=(5000, 3)))


@pytest.mark.parametrize("count", [10, 500, 5_000, 100_000])
def test_new_rows_of_a_discrete_table_are_not_taken_for_old_ones(random, count):
    alarms = 0
    for _ in range(50):
        kept = sample_of(random.integers(0, count, (2000, 1)))
        alarms += is_seen(kept, random.integers(0, count, (3000, 1)))
    assert alarms == 0


def test_rows_with_frequencies_of_all_sizes_are_not_taken_for_old_ones(random):
    alarms = 0
    for _ in range(50):
        kept = sample_of(random.zipf(1.5, (2000, 1)))
        alarms += is_seen(kept, random.zipf(1.5, (3000, 1)))
    assert alarms == 0
