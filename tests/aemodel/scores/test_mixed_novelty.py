"""Novelty of rows with categories or times."""

from __future__ import annotations

import numpy as np
import torch

from aemodel.scores.mixed_novelty import LARGE, MixedNovelty


class Exceeding(MixedNovelty):
    """The novelty of rows that exceed what is typical by given numbers."""

    def __init__(self) -> None:
        self.weight = 0.0

    def excesses(self, scaled, points, errors):
        return torch.stack([errors, 0 * points, 0 * scaled])


def test_rows_are_ranked_however_far_they_are_from_clean_rows_that_hardly_differ():
    excess = torch.tensor([-5.0, 0.0, LARGE - 1, LARGE, LARGE + 1, 800.0, 801.0, 1e9]).double()
    found = Exceeding()(torch.zeros(8), torch.zeros(8), excess).numpy()

    assert np.isfinite(found).all()
    assert (np.diff(found) > 0).all()
    np.testing.assert_array_equal(found[:4], excess[:4].exp().numpy())
