"""Surprise: how rare values are, alone and in pairs."""

from __future__ import annotations

import numpy as np
import pytest

from aemodel.rows.layout import CATEGORY, HOUR, NUMBER, Layout
from aemodel.rows.levels import LevelCounts
from aemodel.scores.surprise import POWER, Margins, Surprise

ROWS = 1_000


def build(kinds, scaled):
    """The surprise after clean scaled rows (n, d), whose categories are ranks."""
    layout = Layout(row_shape=(len(kinds),), dtype="float64", columns=kinds, kinds=kinds)
    counts = LevelCounts(layout.of_kind(CATEGORY))
    counts.update(scaled)
    levels = counts.finish(32)
    ranked = scaled.astype(np.float32)
    levels.write_ranks(scaled, ranked)
    return Surprise(Margins.of(ranked, layout, levels, [ranked]), levels, layout)


def rows(*values):
    return np.array(values, np.float32)


def test_a_rare_level_is_more_surprising_than_a_frequent_one_and_an_unseen_one_most():
    keys = np.repeat([1.0, 2.0, 3.0], [900, 98, 2])[:, None]
    found = build((CATEGORY,), keys).columns(rows([0], [1], [2], [4]))[:, 0]
    assert found[:3] == pytest.approx(
        [-np.log(901 / 1_005), -np.log(99 / 1_005), -np.log(3 / 1_005)]
    )
    assert found[3] > 2 * found[2]


def test_an_unseen_level_is_ordinary_where_every_row_has_a_new_one():
    new = build((CATEGORY,), np.arange(ROWS, dtype=float)[:, None])
    few = build((CATEGORY,), np.repeat([1.0, 2.0], ROWS // 2)[:, None])
    assert new.columns(rows([ROWS + 1]))[0, 0] < few.columns(rows([3]))[0, 0]


def test_a_number_is_surprising_at_either_end_and_not_in_the_middle():
    values = np.linspace(0, 1, ROWS)[:, None]
    low, middle, high, far = build((NUMBER,), values).columns(rows([0], [0.5], [1], [50]))[:, 0]
    assert middle == pytest.approx(0, abs=0.01)
    assert low == pytest.approx(high, abs=0.01)
    assert far >= high > 5


def test_a_gap_is_as_surprising_as_gaps_are_rare():
    values = np.linspace(0, 1, ROWS)[:, None]
    values[:250] = np.nan
    assert build((NUMBER,), values).columns(rows([np.nan]))[0, 0] == pytest.approx(-np.log(0.25))


def test_an_hour_at_which_no_clean_row_lies_is_surprising():
    hours = (8 + np.arange(ROWS) % 10)[:, None] / 24
    usual, unusual = build((HOUR,), hours).columns(rows([9.5 / 24], [3.2 / 24]))[:, 0]
    assert unusual > usual + 3


def test_two_frequent_levels_that_never_occur_together_stand_out_in_both_columns():
    kind = np.repeat([1.0, 2.0], ROWS // 2)
    surprise = build((CATEGORY, CATEGORY), np.stack([kind, kind], axis=1))
    usual, never = surprise.total(rows([0, 0], [0, 1]))
    assert never > 3 * usual
    shares = surprise.shares(rows([0, 1]))[0]
    assert shares[0] == pytest.approx(shares[1])


def test_the_total_does_not_depend_on_how_rows_are_grouped():
    random = np.random.default_rng(0)
    clean = np.stack([random.integers(0, 5, ROWS), random.integers(0, 3, ROWS)], axis=1) * 1.0
    surprise = build((CATEGORY, CATEGORY), clean)
    tonight = np.stack([random.integers(0, 6, 50), random.integers(0, 4, 50)], axis=1)
    tonight = tonight.astype(np.float32)
    one_by_one = [surprise.total(tonight[[index]])[0] for index in range(50)]
    np.testing.assert_array_equal(surprise.total(tonight), one_by_one)


def test_a_new_pair_is_ordinary_where_many_pairs_occur_once():
    random = np.random.default_rng(0)
    many = np.stack([random.integers(0, 30, ROWS), random.integers(0, 30, ROWS)], axis=1) * 1.0
    few = np.stack([np.arange(ROWS) % 30, np.arange(ROWS) % 30], axis=1) * 1.0
    counts = np.histogram2d(many[:, 0], many[:, 1], bins=30)[0]
    new = rows(np.argwhere(counts == 0)[0])
    kinds = (CATEGORY, CATEGORY)
    assert pair_surprise(build(kinds, few), rows([0, 5])) > 2 * pair_surprise(
        build(kinds, many), new
    )


def pair_surprise(surprise, scaled):
    """The surprise of the only pair of columns of the first of scaled rows (n, 2)."""
    powers = surprise.shares(scaled) - surprise.columns(scaled) ** POWER
    return powers[0, 0] ** (1 / POWER)
