"""Conformal p-values."""

from __future__ import annotations

import numpy as np

from aemodel.scores.p_values import p_values, ranks


def test_a_p_value_counts_calibration_scores_at_least_as_high():
    found = p_values(np.array([1.0, 2.0, 2.0, 3.0]), np.array([0.0, 2.0, 2.5, 9.0]))

    assert found.tolist() == [1.0, 0.8, 0.4, 0.2]


def test_ranks_count_the_calibration_scores_that_are_at_least_as_high():
    calibration = np.sort(np.random.default_rng(0).integers(0, 50, 200)).astype(float)
    scores = np.append(np.random.default_rng(1).uniform(-5, 55, 300), [7.0, np.inf, -np.inf])
    assert (ranks(calibration, scores) == (calibration >= scores[:, None]).sum(axis=1)).all()
