"""Plots in reports."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from storage.pages.figures import calibration_histogram, error_plot, score_histogram


def test_infinite_calibration_scores_are_left_out_of_the_histogram():
    scores = np.array([0.5, 1.0, 2.0])

    with_infinity = calibration_histogram(np.append(scores, np.inf), "error")
    assert with_infinity == calibration_histogram(scores, "error")


def test_a_store_without_any_loss_has_a_plot_without_lines():
    assert error_plot([], 0.0, 1.0).startswith("data:image/")


@pytest.mark.parametrize(
    ("low", "high", "labels"), [(1e-3, 10, ["0.001", "0.1", "10"]), (0.3, 1.9, ["0.3", "0.6", "1"])]
)
def test_logarithmic_axes_have_plain_numbers(low, high, labels):
    edges, counts = np.geomspace(low, high, 31), np.arange(32)
    uri = score_histogram(edges, counts, counts, None)
    text = base64.b64decode(uri.partition(",")[2]).decode()

    assert all(f">{label}</text>" in text for label in labels)
    assert "mathdefault" not in text
