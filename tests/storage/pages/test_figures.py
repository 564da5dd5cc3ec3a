"""The plots of the pages."""

from __future__ import annotations

import numpy as np

from storage.pages.figures import calibration_histogram


def test_a_clean_row_that_is_infinitely_far_is_left_out_of_the_plot():
    scores = np.array([0.5, 1.0, 2.0])

    assert calibration_histogram(np.append(scores, np.inf), "error") == calibration_histogram(
        scores, "error"
    )
