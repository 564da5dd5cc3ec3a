"""Rarity: how unusual a value is among clean rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aemodel.scores.rarity import Rarity


def rarities(clean, *values):
    return Rarity(np.sort(clean))(torch.tensor(values, dtype=torch.float64)).numpy()


def test_half_of_the_clean_rows_are_at_least_as_high_as_the_median():
    assert rarities(np.arange(999.0), 499) == pytest.approx(np.log(2), abs=0.002)


def test_one_in_a_thousand_rows_of_an_exponential_tail_is_as_rare_as_that():
    clean = np.random.default_rng(0).exponential(3.0, 50_000)
    assert rarities(clean, 3 * np.log(1_000))[0] == pytest.approx(np.log(1_000), rel=0.05)


def test_rarity_never_falls_and_goes_on_beyond_all_clean_rows():
    clean = np.random.default_rng(0).normal(size=500)
    found = rarities(clean, *np.linspace(-4, 40, 300))
    assert (np.diff(found) >= 0).all()
    assert (np.diff(found[-100:]) > 0).all()


def test_a_value_that_all_clean_rows_have_is_not_rare_and_any_higher_one_is():
    same, higher = rarities(np.zeros(100), 0.0, 0.1)
    assert same == 0
    assert higher > 10
