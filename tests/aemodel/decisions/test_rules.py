"""Rules: which rows they flag, and whether they keep their promises."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from aemodel.decisions.ranking import Ranking, Tally
from aemodel.decisions.rules import allowed_above, decide, parse_rule
from aemodel.decisions.verdict import Coverage, judge_night
from aemodel.errors import SettingsError
from aemodel.scores.p_values import p_values

VALUES = [0.0, 0.5, 1.0, 1.5, 2.0, 7.0, np.inf]
few_values = st.lists(st.sampled_from(VALUES), max_size=40).map(np.array)


def decide_on(text, calibration, scores, *, top_n=5):
    rows = np.arange(len(scores))
    calibration = np.sort(calibration)
    rule = parse_rule(text)
    tally = Tally.of(calibration, scores, threshold=rule.threshold(calibration))
    return decide(rule, calibration, tally, Ranking.of(100, scores, rows), top_n=top_n)


@pytest.mark.parametrize(
    ("q", "n", "j"),
    [
        ("0.9", 9, 1),
        ("0.9", 8, 0),
        ("0.999", 999, 1),
        ("0.999", 998, 0),
        ("0.99", 1000, 10),
        ("0.7", 9, 3),
    ],
)
def test_the_cut_is_counted_in_exact_decimal_arithmetic(q, n, j):
    assert allowed_above(parse_rule(f"quantile {q}"), n) == j


@pytest.mark.parametrize("n", [10, 30, 100, 1_000])
@pytest.mark.parametrize("q", ["0.9", "0.99"])
def test_clean_rows_are_flagged_at_most_as_often_as_promised(n, q):
    random = np.random.default_rng(1)
    sets, share = 400, float(1 - Decimal(q))
    flagged = [
        decide_on(f"quantile {q}", random.normal(size=n), random.normal(size=500)).flagged / 500
        for _ in range(sets)
    ]

    assert np.mean(flagged) <= share + 3 * np.std(flagged) / np.sqrt(sets)


@given(few_values.filter(len), few_values)
def test_no_threshold_rises_as_more_false_alarms_are_allowed(calibration, scores):
    for rules in (
        ["quantile 0.99", "quantile 0.9", "quantile 0.5"],
        ["fdr 0.05", "fdr 0.2", "fdr 0.9"],
    ):
        cuts = [decide_on(rule, calibration, scores).cut.score for rule in rules]
        assert cuts == sorted(cuts, reverse=True)


@given(
    few_values,
    few_values,
    st.sampled_from(["quantile 0.5", "quantile 0.9", "fdr 0.3", "absolute 1.0", "top"]),
)
def test_the_cut_flags_as_many_rows_as_the_decision_says(calibration, scores, rule):
    decision = decide_on(rule, calibration, scores)

    assert decision.cut.flags(scores, np.arange(len(scores))).sum() == decision.flagged


@settings(max_examples=50)
@given(
    st.lists(st.floats(0, 10), min_size=1, max_size=30),
    st.lists(st.floats(0, 20), min_size=1, max_size=30),
    st.sampled_from([0.1, 0.3]),
)
def test_fdr_is_benjamini_hochberg_on_the_p_values(calibration, scores, alpha):
    calibration, scores = np.sort(calibration), np.array(scores)
    expected = false_discovery_control(p_values(calibration, scores)) <= alpha + 1e-12

    assert decide_on(f"fdr {alpha}", calibration, scores).flagged == expected.sum()


def test_too_few_calibration_rows_promise_nothing_and_say_how_many_are_needed():
    decision = decide_on("quantile 0.999", np.arange(500.0), np.arange(600.0))

    assert (decision.flagged, decision.promises) == (0, False)
    assert "500 calibration rows are too few" in decision.promise
    assert "at least 999 are needed" in decision.promise


def test_the_stated_number_of_calibration_rows_is_enough_and_one_less_is_not():
    for q in ("0.9", "0.99", "0.999"):
        promise = decide_on(f"quantile {q}", np.arange(3.0), np.arange(3.0)).promise
        needed = int(promise.split("at least ")[1].split(" are needed")[0].replace(",", ""))
        assert allowed_above(parse_rule(f"quantile {q}"), needed) == 1
        assert allowed_above(parse_rule(f"quantile {q}"), needed - 1) == 0


def test_fdr_says_how_many_rows_it_can_only_flag_together():
    decision = decide_on("fdr 0.1", np.arange(99.0), np.zeros(10_000))

    assert "no fewer than 1,000 rows can be flagged together" in decision.promise


@pytest.mark.parametrize(
    "text",
    [
        "",
        "quantile",
        "quantile 1",
        "quantile x",
        "fdr 0",
        "fdr 1",
        "absolute -1",
        "top 5",
        "best 3",
        "quantile nan",
        "absolute inf",
    ],
)
def test_a_wrong_rule_is_refused_with_examples(text):
    with pytest.raises(SettingsError, match=r"score\.rule must look like quantile 0\.999"):
        parse_rule(text)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.integers(1, 9))
def test_the_mad_rule_flags_above_the_median_by_robust_deviations(scores, k):
    scores = np.array(scores)
    middle = np.median(scores)
    expected = middle + k * 1.4826022185056018 * np.median(np.abs(scores - middle))
    threshold = parse_rule(f"mad {k}").threshold(np.sort(scores))

    assert threshold == pytest.approx(expected)
    assert decide_on(f"mad {k}", scores, scores).flagged == (scores > threshold).sum()


def test_the_mad_rule_promises_nothing_and_compares_with_calibration_scores(random):
    decision = decide_on("mad 6", np.abs(random.normal(size=500)), np.r_[np.zeros(99), 1e3])

    assert (decision.flagged, decision.promises) == (1, False)
    assert decision.promise.startswith(
        "A robust-deviation threshold promises nothing. 0 of 500 calibration scores are above"
    )


def test_the_mad_rule_only_ranks_without_calibration_rows():
    decision = decide_on("mad 6", np.empty(0), np.ones(5))

    assert decision.promise.startswith("Ranking only: there are no calibration rows")


@pytest.mark.parametrize(
    ("flagged", "limit", "done", "verdicts"),
    [
        (2, 9, 4, ("OK",)),
        (10, 9, 4, ("REVIEW 10",)),
        (2000, 9, 4, ("FLOOD", "REVIEW 2000")),
        (2000, 9, 3, ("PARTIAL 3 of 4", "FLOOD", "REVIEW 2000")),
        (0, 0, 0, ("FAILED",)),
        (5, None, 4, ("REVIEW 5",)),
        (0, None, 4, ("OK",)),
    ],
)
def test_the_first_verdict_that_applies_comes_first(flagged, limit, done, verdicts):
    decision = decide_on("top", np.arange(3.0), np.arange(3.0))
    changed = replace(decision, flagged=flagged, limit=limit)
    coverage = Coverage(rows=100 * done, shards_done=done, shards_total=4)
    verdict, notes = judge_night(changed, coverage, alert_budget=1000)

    assert (verdict, *notes) == verdicts


def test_quantile_flags_a_planted_outlier_far_above_the_rest():
    scores = np.array([0.1, 5.0, 0.2])
    decision = decide_on("quantile 0.99", np.random.default_rng(0).random(999), scores)

    assert decision.cut.flags(scores, np.arange(3)).tolist() == [False, True, False]
