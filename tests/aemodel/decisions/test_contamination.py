"""Suspect calibration rows: found where they are planted, and hardly ever among clean rows."""

from __future__ import annotations

import numpy as np
import pytest

from aemodel.decisions.contamination import contamination_warning, count_suspects

DRAWS = {
    "normal": lambda random: np.square(random.normal(size=1000)),
    "lognormal": lambda random: random.lognormal(size=1000),
    "exponential": lambda random: random.exponential(size=1000),
    "pareto": lambda random: random.pareto(2, size=1000) + 1,
    "cauchy": lambda random: np.abs(random.standard_cauchy(size=1000)),
}


def suspects_in_clean_scores(tail, seed):
    return count_suspects(np.sort(DRAWS[tail](np.random.default_rng(seed))))


def test_planted_outliers_among_calibration_rows_are_counted():
    for seed in range(20):
        random = np.random.default_rng(seed)
        clean, bad = random.lognormal(size=2000), 1e4 * (1 + random.random(10))
        assert 10 <= count_suspects(np.sort(np.concatenate([clean, bad]))) <= 12


@pytest.mark.parametrize("tail", sorted(DRAWS))
def test_clean_scores_with_any_tail_are_seldom_suspect(tail):
    assert sum(suspects_in_clean_scores(tail, seed) > 0 for seed in range(300)) <= 3


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        (np.empty(0), 0),
        (np.zeros(500), 0),
        (np.r_[np.ones(200), np.inf], 1),
        (np.ones(5), 0),
        (np.r_[np.zeros(150), np.ones(150)], 0),
    ],
)
def test_degenerate_scores_are_counted_and_left_unchanged(scores, expected):
    before = scores.copy()

    assert count_suspects(scores) == expected
    assert (scores == before).all()


def test_the_warning_counts_the_suspect_rows():
    assert contamination_warning(np.ones(200)) == ""
    assert contamination_warning(np.r_[np.ones(200), np.inf]).startswith(
        "1 suspect calibration row scores far above all others"
    )
