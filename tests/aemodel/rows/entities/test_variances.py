"""Variances of groups, drawn to what is typical of all."""

from __future__ import annotations

import numpy as np

from aemodel.rows.entities.variances import squeezed_variances


def squeezed(variances: np.ndarray, rows: int, seed: int = 0) -> np.ndarray:
    """Squeezed variances (g,) of `rows` normal values of each of g groups."""
    values = np.random.default_rng(seed).normal(size=(len(variances), rows))
    values *= np.sqrt(variances)[:, None]
    squares = ((values - values.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    freedom = np.full((len(variances), 1), rows - 1.0)
    pooled = np.array([squares.sum() / freedom.sum()])
    return squeezed_variances(squares[:, None], freedom, pooled)[0][:, 0]


def test_groups_that_differ_only_by_chance_get_nearly_the_same_variance():
    found = squeezed(np.full(50, 4.0), rows=12)

    assert np.abs(found / 4 - 1).max() < 0.35
    assert found.max() / found.min() < 1.6


def test_groups_that_differ_keep_their_variances_even_quiet_ones_beside_loud_ones():
    truth = np.exp(np.random.default_rng(1).normal(0, 2, 50))

    assert np.abs(squeezed(truth, rows=400) / truth - 1).max() < 0.35


def test_two_large_groups_keep_their_own_variances():
    assert np.allclose(squeezed(np.array([1.0, 100.0]), rows=4_000), [1.25, 100], rtol=0.1)


def test_a_group_without_rows_gets_the_typical_variance_and_equal_values_are_not_certain():
    squares, freedom = np.zeros((32, 1)), np.full((32, 1), 99.0)
    squares[:30, 0] = 99 * np.exp(np.random.default_rng(2).normal(0, 1, 30))
    freedom[30], freedom[31] = 0.0, 1.0
    variances, factor = squeezed_variances(squares, freedom, np.array([1.6]))
    found = (variances * factor)[:, 0]

    assert 0.5 < found[30] < 4
    assert 0.2 < found[31] < 4


def test_nothing_that_varies_gives_zero_and_no_warning():
    found, _ = squeezed_variances(np.zeros((5, 1)), np.full((5, 1), 50.0), np.zeros(1))

    assert not found.any()


def test_the_fewer_rows_show_a_variance_the_wider_is_what_holds_nearly_all_new_values():
    random = np.random.default_rng(3)
    truth = np.exp(random.normal(0, 1, 400))
    freedom = np.repeat([4.0, 400.0], [100, 300])
    squares = truth * random.chisquare(freedom)
    found, factor = squeezed_variances(squares[:, None], freedom[:, None], np.ones(1))
    new = np.sqrt(truth) * random.normal(size=(2_000, 400))
    beyond = np.abs(new) > 2.576 * np.sqrt(found * factor)[:, 0]

    assert factor[0] > 1.2
    assert factor[-1] < 1.05
    assert beyond[:, :100].mean() < 0.012
    assert 0.007 < beyond[:, 100:].mean() < 0.013
