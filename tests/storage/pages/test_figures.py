"""Plots in reports."""

from __future__ import annotations

import numpy as np

from storage.pages.figures import calibration_histogram, error_plot


def test_infinite_calibration_scores_are_left_out_of_the_histogram():
    scores = np.array([0.5, 1.0, 2.0])

    with_infinity = calibration_histogram(np.append(scores, np.inf), "error")
    assert with_infinity == calibration_histogram(scores, "error")


def test_a_store_without_any_loss_has_a_plot_without_lines():
    assert error_plot([], 0.0, 1.0).startswith("data:image/")
