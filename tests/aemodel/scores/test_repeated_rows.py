"""Rows of a night that repeat another one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aemodel.scores import repeated_rows
from aemodel.scores.repeated_rows import MOST_CONTENTS, RepeatedRows


def sample(rows):
    """The sample of rows (n, d), whose score is their sum."""
    return RepeatedRows.of(rows, rows.sum(axis=1).astype(np.float64))


def test_all_rows_of_a_content_but_one_are_repeated():
    rows = np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0], [1.0, 2.0], [0.0, 9.0]])

    assert sample(rows).share == pytest.approx(2 / 5)
    assert sample(rows[:2]).share == 0  # equal scores are not enough
    assert RepeatedRows.none().share == 0


@given(st.lists(st.integers(0, 30), max_size=80), st.integers(0, 80), st.integers(0, 80))
def test_samples_of_any_parts_merge_to_the_sample_of_the_whole(values, first, second):
    rows = np.array(values, np.int64).reshape(-1, 1)
    one, two, three = np.split(rows, sorted([first, second]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeated_rows, "MOST_CONTENTS", 8)
        whole, left = sample(rows), sample(three)
        merged = left.merge(
            RepeatedRows.of(one, one[:, 0].astype(float), halvings=left.halvings)
        ).merge(sample(two))

    assert merged.halvings == whole.halvings
    np.testing.assert_array_equal(merged.keys, whole.keys)
    np.testing.assert_array_equal(merged.counts, whole.counts)


def test_the_sample_is_bounded_and_tells_the_share():
    random = np.random.default_rng(0)
    rows = random.random((400_000, 3))
    rows[300_000:] = rows[:100_000]
    found = sample(rows)

    assert len(found.keys) <= MOST_CONTENTS
    assert found.share == pytest.approx(0.25, abs=0.02)
