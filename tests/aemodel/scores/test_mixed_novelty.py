"""Novelty of rows with categories or times."""

from __future__ import annotations

import numpy as np
import torch

from aemodel.scores.mixed_novelty import LARGE, to_novelty


def test_rows_are_ranked_however_far_they_are_from_clean_rows_that_hardly_differ():
    rarities = torch.tensor([0.0, 1.0, LARGE - 1, LARGE, LARGE + 1, 800.0, 801.0, 1e9]).double()
    found = to_novelty(rarities).numpy()

    assert np.isfinite(found).all()
    assert (np.diff(found) > 0).all()
    np.testing.assert_array_equal(found[:4], rarities[:4].exp().numpy() / 2)
