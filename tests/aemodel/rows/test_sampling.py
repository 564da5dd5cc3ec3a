"""Rows kept within a byte budget."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aemodel.rows.hashes import row_hashes
from aemodel.rows.layout import Layout
from aemodel.rows.sampling import AllRows, SampledRows

LAYOUT = Layout(row_shape=(2,), dtype="float32")
ROWS = np.random.default_rng(0).random((3_000, 2), np.float32)


def test_all_rows_are_kept_in_order_while_they_fit():
    kept = AllRows(LAYOUT, ROWS.nbytes)
    for piece in np.array_split(ROWS, 7):
        kept.add(piece)
    np.testing.assert_array_equal(kept.rows, ROWS)


def test_no_row_is_kept_once_they_do_not_fit_but_all_are_counted():
    kept = AllRows(LAYOUT, ROWS.nbytes - 1)
    for piece in np.array_split(ROWS, 7):
        kept.add(piece)
    assert kept.rows is None
    assert kept.count == len(ROWS)


@given(cuts=st.lists(st.integers(0, 3_000), max_size=6), budget=st.integers(8, 30_000))
def test_a_sample_depends_only_on_the_rows_and_fits_the_budget(cuts, budget):
    whole, pieces = SampledRows(LAYOUT, budget), SampledRows(LAYOUT, budget)
    whole.add(ROWS, row_hashes(ROWS))
    for piece in np.split(ROWS, sorted(cuts)):
        pieces.add(piece, row_hashes(piece))
    np.testing.assert_array_equal(whole.rows, pieces.rows)
    assert whole.rows.nbytes <= budget
    assert pieces.count == len(ROWS)


def test_a_sample_is_spread_over_the_whole_source():
    sample = SampledRows(LAYOUT, ROWS.nbytes // 4)
    numbered = np.stack([np.arange(3_000), np.zeros(3_000)], axis=1).astype(np.float32)
    sample.add(numbered, row_hashes(numbered))
    assert abs(sample.rows[:, 0].mean() - 1_500) < 200
