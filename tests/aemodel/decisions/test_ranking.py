"""How many flagged rows a clean night may show, against other ways to compute the same."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import betabinom

from aemodel.decisions.ranking import Ranking, Tally
from aemodel.decisions.rules import _clean_count, _false_finds, decide, parse_rule


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 5), (50, 30), (10_000, 99)])
def test_the_limit_is_the_quantile_of_a_beta_binomial(m, n):
    for j in range(1, n + 1, 7):
        mean, limit = _clean_count(m, j, n)
        assert limit == betabinom.ppf(0.99, m, j, n + 1 - j)
        assert mean == pytest.approx(betabinom.mean(m, j, n + 1 - j))


def test_clean_nights_stay_within_the_limit_of_quantile_in_99_of_100():
    random = np.random.default_rng(0)
    over = [
        decision.flagged > decision.limit
        for decision in clean_nights("quantile 0.95", random, n=200, m=300, nights=1_000)
    ]
    assert np.mean(over) <= 0.02


def test_clean_nights_stay_within_the_limit_of_fdr_in_99_of_100():
    random = np.random.default_rng(0)
    over = [
        decision.flagged > decision.limit
        for decision in clean_nights("fdr 0.1", random, n=2_000, m=500, nights=1_000)
    ]
    assert np.mean(over) <= 0.02


def test_a_night_of_a_billion_rows_is_no_work():
    mean, limit = _clean_count(10**9, 1_000, 10**6)
    assert mean == pytest.approx(1e9 * 1_000 / (10**6 + 1))
    assert mean < limit < 1.2 * mean


def test_false_finds_of_a_night_without_rows_are_none():
    assert _false_finds(Fraction(1, 10), 0) == (0.0, 0)
    assert _false_finds(Fraction(1, 10), 10_000) == (pytest.approx(0.1 / 0.9**2), 2)


def test_a_planted_outlier_far_above_all_is_flagged_by_quantile():
    calibration = np.sort(np.random.default_rng(0).random(999))
    scores = np.array([0.1, 5.0, 0.2])
    decision = decide(
        parse_rule("quantile 0.99"),
        calibration,
        Tally.of(calibration, scores),
        Ranking.of(5, scores, np.arange(3)),
        top_n=5,
    )
    assert decision.cut.flags(scores, np.arange(3)).tolist() == [False, True, False]


def clean_nights(rule, random, *, n, m, nights):
    for _ in range(nights):
        calibration, scores = np.sort(random.random(n)), random.random(m)
        yield decide(
            parse_rule(rule),
            calibration,
            Tally.of(calibration, scores),
            Ranking.of(1, scores, np.arange(m)),
            top_n=1,
        )
