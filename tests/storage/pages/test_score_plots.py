"""Histograms of scores and p-values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from night_pages import night_of

from storage.pages.nights.score_plots import HEIGHT, draw_chances, draw_scores


def night_with(counts, low=1e-3, high=10.0, **facts):
    edges = np.geomspace(low, high, len(counts) + 1)
    padded = np.concatenate([[0], counts, [0]])
    return night_of(edges=edges, counts=padded, calibration_counts=padded, **facts)


def test_the_cut_stands_at_its_place_on_the_logarithmic_axis():
    plot = draw_scores(night_with(np.ones(40, int), cut_score=0.1))

    assert plot.cut == pytest.approx(50, abs=0.01)
    assert tuple(tick.label for tick in plot.across)[1:4] == ("0.01", "0.1", "1")


def test_a_narrow_range_of_scores_has_labels_too():
    plot = draw_scores(night_with(np.ones(10, int), low=1.1, high=1.9, cut_score=1.5))

    assert len(plot.across) >= 2


def test_the_budget_is_drawn_where_more_rows_are_flagged():
    counts = np.array([900, 60, 30, 10])
    flood = night_with(counts, cut_score=0.01, flagged=100, alert_budget=40)

    assert draw_scores(flood).budget == 50.0
    assert draw_scores(replace(flood, alert_budget=100)).budget is None


def test_even_p_values_are_as_high_as_the_dashed_line():
    plot = draw_chances(night_of(p_counts=np.full(20, 7.0)))

    assert plot.even == pytest.approx(HEIGHT * (1 - 1 / 1.05), abs=0.1)
    assert f"V{plot.even:.1f}H" in plot.bars
    assert draw_chances(night_of()) is None
