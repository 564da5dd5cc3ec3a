"""How many clean rows a rule flags, compared with other ways to compute it and with simulation."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import betabinom

from aemodel.decisions.clean_counts import clean_above_cut, clean_discoveries, upper_share
from aemodel.decisions.ranking import Ranking, Tally
from aemodel.decisions.rules import decide, parse_rule


def clean_nights(rule, random, *, n, m, nights):
    for _ in range(nights):
        calibration, scores = np.sort(random.random(n)), random.random(m)
        tally, ranking = Tally.of(calibration, scores), Ranking.of(1, scores, np.arange(m))
        yield decide(parse_rule(rule), calibration, tally, ranking, top_n=1)


def share_over_limit(decisions):
    return np.mean([decision.flagged > decision.limit for decision in decisions])


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 5), (50, 30), (10_000, 99)])
def test_the_limit_is_the_quantile_of_a_beta_binomial(m, n):
    for j in range(1, n + 1, 7):
        mean, limit = clean_above_cut(m, j, n)
        assert limit == betabinom.ppf(0.99, m, j, n + 1 - j)
        assert mean == pytest.approx(betabinom.mean(m, j, n + 1 - j))


def test_clean_nights_stay_within_the_limit_of_quantile_in_99_of_100():
    random = np.random.default_rng(0)
    nights = clean_nights("quantile 0.95", random, n=200, m=300, nights=1_000)

    assert share_over_limit(nights) <= 0.02


def test_clean_nights_stay_within_the_limit_of_fdr_in_99_of_100():
    random = np.random.default_rng(0)
    nights = clean_nights("fdr 0.1", random, n=2_000, m=500, nights=1_000)

    assert share_over_limit(nights) <= 0.02


def test_a_night_of_a_billion_rows_has_a_limit_within_reach_of_its_mean():
    mean, limit = clean_above_cut(10**9, 1_000, 10**6)
    assert mean == pytest.approx(1e9 * 1_000 / (10**6 + 1))
    assert mean < limit < 1.2 * mean


def test_a_night_without_rows_has_no_clean_discoveries():
    assert clean_discoveries(Fraction(1, 10), 0) == (0.0, 0)
    assert clean_discoveries(Fraction(1, 10), 10_000) == (pytest.approx(0.1 / 0.9**2), 2)


def test_the_upper_share_holds_for_95_percent_of_calibration_sets():
    n, j = 200, 5
    shares = [1 - np.sort(np.random.default_rng(seed).random(n))[-j] for seed in range(2000)]

    assert np.mean(np.array(shares) <= upper_share(j, n)) == pytest.approx(0.95, abs=0.015)
