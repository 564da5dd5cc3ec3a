"""Conformal p-values."""

from __future__ import annotations

import numpy as np

from aemodel.scores.p_values import p_values


def test_a_p_value_counts_calibration_scores_at_least_as_high():
    found = p_values(np.array([1.0, 2.0, 2.0, 3.0]), np.array([0.0, 2.0, 2.5, 9.0]))

    assert found.tolist() == [1.0, 0.8, 0.4, 0.2]
