"""Novelty of rows with categories or times."""

from __future__ import annotations

import numpy as np
import torch

from aemodel.scores.mixed_novelty import LARGE, MixedNovelty, to_novelty
from aemodel.scores.rarity import Rarity


def test_rows_are_ranked_however_far_they_are_from_clean_rows_that_hardly_differ():
    rarities = torch.tensor([0.0, 1.0, LARGE - 1, LARGE, LARGE + 1, 800.0, 801.0, 1e9]).double()
    found = to_novelty(rarities).numpy()

    assert np.isfinite(found).all()
    assert (np.diff(found) > 0).all()
    np.testing.assert_array_equal(found[:4], rarities[:4].exp().numpy() / 2)


def test_a_far_number_does_not_hide_a_rare_pair_but_farther_ones_still_rank_higher():
    usual = np.sort(np.random.default_rng(0).exponential(1.0, (2, 1_000)), axis=1)
    novelty = novelty_of(usual)
    far = torch.tensor([20.0, 200.0, 0.5]).double()
    rare = torch.tensor([0.5, 0.5, 40.0]).double()
    farther, farthest, pair = novelty(far, rare, torch.zeros(3).double())
    assert farther < farthest < pair


def novelty_of(usual):
    """The novelty of rows whose parts are given, among clean rows with `usual` parts (2, n)."""

    class Given(MixedNovelty):
        def __init__(self):
            self.weight = 1.0
            self._of_distance, self._of_surprise = map(Rarity, usual)

        def parts(self, scaled, points, errors, *, skip=0):
            return torch.stack([scaled, points, errors])

    return Given()
