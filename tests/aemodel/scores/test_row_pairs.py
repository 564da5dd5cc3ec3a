"""Pairs of values of single rows."""

from __future__ import annotations

import numpy as np
import pytest

from aemodel.rows.layout import CATEGORY, Layout
from aemodel.rows.levels import LevelCounts
from aemodel.scores.surprise import POWER, Margins, Surprise

ROWS = 3_000


@pytest.fixture(scope="module")
def surprise():
    """Clean rows whose three columns all follow from each other."""
    kind = np.arange(ROWS) % 3 * 1.0
    scaled = np.stack([kind, kind, kind], axis=1)
    layout = Layout(row_shape=(3,), dtype="float64", columns=("a", "b", "c"), kinds=(CATEGORY,) * 3)
    counts = LevelCounts(layout.of_kind(CATEGORY))
    counts.update(scaled)
    levels = counts.finish(32)
    ranked = scaled.astype(np.float32)
    return Surprise(Margins.of(ranked, layout, levels, [ranked]), levels, layout)


ONE_WRONG = np.array([[0, 2, 0]], np.float32)


def test_the_value_that_fits_no_other_takes_most_of_the_surprise(surprise):
    found = surprise.row_pairs(ONE_WRONG).by_column()[0]
    assert found[1] > 0.9 * found.sum()


def test_shares_of_pairs_add_up_to_the_surprise_of_all_pairs(surprise):
    rows = np.array([[0, 2, 0], [0, 1, 2], [1, 1, 1]], np.float32)
    alone = surprise.columns(rows) ** POWER
    expected = (surprise.shares(rows) - alone).sum(axis=1)
    assert surprise.row_pairs(rows).by_column().sum(axis=1) == pytest.approx(expected)


def test_the_partner_is_what_a_value_never_goes_with(surprise):
    partner = surprise.row_pairs(ONE_WRONG).partner(0, 0)
    assert partner.column == 1
    assert (partner.together, partner.rows) == (0, ROWS)
    assert partner.expected == pytest.approx(ROWS / 9)


def test_a_clean_row_has_no_partner(surprise):
    assert surprise.row_pairs(np.array([[1, 1, 1]], np.float32)).partner(0, 0) is None
