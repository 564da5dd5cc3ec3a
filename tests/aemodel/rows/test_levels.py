"""Levels of categories: counted in any order, ranked by frequency, found again by key."""

from __future__ import annotations

import numpy as np
import pytest

from aemodel.rows.levels import LevelCounts

KEYS = np.array([[7.0], [5.0], [7.0], [np.nan], [9.0], [5.0], [7.0]])


def counted(*pieces, most=10):
    counts = LevelCounts([0])
    for piece in pieces:
        counts.update(piece)
    return counts.finish(most)


def test_levels_are_ordered_by_count_then_key():
    levels = counted(KEYS)
    assert levels.keys.tolist() == [7.0, 5.0, 9.0]
    assert levels.counts.tolist() == [3, 2, 1]
    assert (levels.gaps.tolist(), levels.rows) == ([1], 7)


@pytest.mark.parametrize("cut", [1, 3, 6])
def test_pieces_in_any_order_count_like_all_rows_at_once(cut):
    whole, parts = counted(KEYS), counted(KEYS[cut:], KEYS[:cut])
    for name in ("starts", "keys", "counts", "gaps", "kept"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


def test_a_gap_and_an_unseen_level_have_ranks_of_their_own():
    levels = counted(KEYS)
    ranks = levels.ranks(0, np.array([7.0, 9.0, np.nan, 1.0, 8.0]))
    assert ranks.tolist() == [0, 2, 3, 4, 4]


def test_ranks_turn_back_into_keys_and_gaps_into_nan():
    levels = counted(KEYS)
    rows = np.array([[0.0], [2.0], [3.0], [4.0]])
    levels.write_keys(rows)
    np.testing.assert_array_equal(rows[:, 0], [7.0, 9.0, np.nan, np.nan])


def test_a_category_without_any_level_has_only_gaps_and_unseen_levels():
    levels = counted(np.full((3, 1), np.nan))
    assert levels.ranks(0, np.array([np.nan, 5.0])).tolist() == [0, 1]


def test_only_the_most_frequent_levels_are_told_apart():
    levels = counted(KEYS, most=2)
    assert levels.kept.tolist() == [2]
    assert levels.known(0).tolist() == [7.0, 5.0]
