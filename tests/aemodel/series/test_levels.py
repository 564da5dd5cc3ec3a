"""Level and spread of entities, shrunk towards the pool."""

from __future__ import annotations

import numpy as np
import pytest
from moving import fitted, sensor_rows

from aemodel.series.levels import FAR, EntityLevels, LevelMoments
from aemodel.series.windows.points import Piece


def levels_of(*entities):
    moments = LevelMoments.around(entities[0], len(entities))
    for index, rows in enumerate(entities):
        moments.add(rows, index)
    return EntityLevels.of([f"M{index}" for index in range(len(entities))], moments)


def normal(n, level=0.0, spread=1.0):
    return np.random.default_rng(n).normal(level, spread, (n, 2))


def test_an_entity_with_many_rows_has_its_own_level_and_spread():
    levels = levels_of(normal(50_000, 10, 2), normal(50_000, 90, 5))

    np.testing.assert_allclose(levels.center[:2, 0], [10, 90], rtol=0.01)
    np.testing.assert_allclose(levels.spread[:2, 0], [2, 5], rtol=0.02)


def test_an_entity_with_few_rows_is_pulled_towards_others_of_its_kind():
    many = [normal(5_000 + index, 0.01 * index) for index in range(20)]
    few = np.random.default_rng(0).normal(0, 1, (2, 2)) + 2

    levels = levels_of(*many, few)

    assert np.abs(levels.center[20] - levels.center[-1]).max() < 0.2
    np.testing.assert_allclose(levels.spread[20], 1, rtol=0.1)


def test_an_entity_of_another_kind_keeps_its_own_level_with_few_rows():
    levels = levels_of(normal(5_000, 0), normal(5_001, 50), normal(5_002, -80), normal(20, 1e6))

    np.testing.assert_allclose(levels.center[3], 1e6, rtol=1e-4)


def test_the_pool_has_the_spread_of_all_rows():
    levels = levels_of(normal(10_000, 0), normal(10_001, 1000))

    assert levels.spread[-1, 0] == pytest.approx(500, rel=0.02)


def test_an_unknown_entity_has_the_level_of_the_pool():
    assert levels_of(normal(100), normal(100)).rows_of(["M1", "new"]).tolist() == [1, 2]


def test_missing_values_do_not_move_a_level():
    rows = normal(1000, 5)
    with_gaps = np.vstack([rows, np.full((50, 2), np.nan)])

    np.testing.assert_allclose(levels_of(with_gaps).center, levels_of(rows).center)


def test_a_large_offset_loses_no_digits():
    levels = levels_of(normal(10_000, 1e9, 1e-2))

    assert levels.spread[-1, 0] == pytest.approx(1e-2, rel=0.02)


def test_a_constant_sensor_has_finite_scores_and_its_move_stands_out():
    clean = sensor_rows()
    clean[:, 3] = 7.0
    model, tonight = fitted(clean), sensor_rows(1000, seed=3)
    tonight[:, 3] = 7.0
    tonight[500:520, 3] = 7.1

    scores = model.scorer.points(Piece(model.scaled(tonight, 0)))

    assert np.isfinite(scores).all()
    assert 430 <= scores.argmax() < 590


def test_values_far_out_are_cut():
    assert levels_of(normal(100)).scale(np.array([[1e30, -1e30]]), 0).tolist() == [[FAR, -FAR]]


def test_a_sensor_that_is_always_zero_has_a_small_spread():
    rows = normal(1000)
    rows[:, 1] = 0

    assert levels_of(rows).spread[:, 1].tolist() == [1e-3, 1e-3]
