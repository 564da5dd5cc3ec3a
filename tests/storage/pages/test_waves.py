"""Rows of signals as lines."""

from __future__ import annotations

import numpy as np
from night_pages import evidence_of

from storage.pages.nights.waves import MOST_POINTS, draw_wave


def test_a_long_line_keeps_its_peaks_and_its_gaps():
    evidence = evidence_of((100_000,))
    evidence.actual[[5, 50_000]] = np.nan, 7.0
    wave = draw_wave(evidence)

    assert wave.actual.count("L") <= MOST_POINTS
    assert " 3.0L" in wave.actual  # the top


def test_a_row_without_a_finite_value_has_no_line():
    evidence = evidence_of((30,))
    evidence.actual[:] = evidence.expected[:] = np.inf

    assert draw_wave(evidence) is None
