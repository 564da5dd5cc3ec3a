"""Drift: the bulk of a night against clean rows, the features that moved, and the verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aemodel.decisions.drift import find_drift
from aemodel.decisions.ranking import Ranking, Tally
from aemodel.decisions.rules import decide, parse_rule, withhold_promise
from aemodel.decisions.verdict import Coverage, judge_night


def drift_of(calibration, scores):
    calibration = np.sort(calibration)
    return find_drift(calibration, Tally.of(calibration, scores))


def errors_of(random, n, width=1.0, d=10):
    return width * np.square(random.normal(size=(n, d))).mean(axis=1)


def count_alarms(nights, *, n, m, width=1.0):
    drifts = [drift_of(errors_of(random, n), errors_of(random, m, width)) for random in nights]
    return sum(drift.alarm for drift in drifts)


def decide_on(rule, calibration, scores):
    calibration = np.sort(calibration)
    ranking = Ranking.of(10, scores, np.arange(len(scores)))
    return decide(parse_rule(rule), calibration, Tally.of(calibration, scores), ranking, top_n=10)


@pytest.mark.parametrize(("width", "fewest"), [(1.1, 38), (1.2, 40)])
def test_scores_wider_by_a_tenth_are_drift_in_a_large_night(width, fewest):
    nights = [np.random.default_rng(seed) for seed in range(40)]

    assert count_alarms(nights, n=5000, m=20_000, width=width) >= fewest


@pytest.mark.parametrize(
    ("n", "m"), [(5000, 20_000), (300, 20_000), (2000, 500), (60, 1000), (25, 1000), (60, 40)]
)
def test_clean_nights_are_no_drift(n, m):
    nights = [np.random.default_rng(seed) for seed in range(150)]

    assert count_alarms(nights, n=n, m=m) <= 1


def test_outliers_do_not_influence_drift_however_many_there_are(random):
    clean, night = errors_of(random, 2000), errors_of(random, 2000)
    few, many = (np.r_[night, np.full(count, 1e6)] for count in (9, 3000))

    assert drift_of(clean, many) == drift_of(clean, few)


def test_a_night_with_every_row_beyond_the_clean_rows_is_drift(random):
    clean = errors_of(random, 2000)

    for night in (np.full(20_000, 1e6), np.r_[errors_of(random, 40), np.full(20_000, 1e6)]):
        assert drift_of(clean, night).alarm
    assert drift_of(clean, np.full(20, 1e6)).alarm
    assert drift_of(errors_of(random, 30), np.full(60, 1e6)).alarm


@pytest.mark.parametrize(
    ("calibration", "scores"),
    [
        (np.empty(0), np.ones(500)),
        (np.arange(20.0), np.ones(500)),
        (np.arange(500.0), np.ones(19)),
        (np.arange(500.0), np.empty(0)),
    ],
)
def test_drift_is_unknown_for_too_few_rows(calibration, scores):
    assert drift_of(calibration, scores) is None


def test_equal_scores_do_not_drift_from_themselves():
    assert not drift_of(np.zeros(300), np.zeros(900)).alarm
    assert not drift_of(np.r_[np.ones(300), np.full(30, np.inf)], np.ones(900)).alarm


def test_drift_withholds_the_promise_and_keeps_the_ranking(random):
    decision = decide_on("quantile 0.99", errors_of(random, 999), errors_of(random, 500))
    found = withhold_promise(decision, "the bulk has moved")

    assert (decision.promises, found.promises) == (True, False)
    assert (found.cut, found.flagged) == (decision.cut, decision.flagged)
    assert found.promise.startswith(
        "No guarantee tonight: the bulk has moved. The ranking is valid. Withheld: At most 1 %"
    )


def test_several_reasons_withhold_a_promise_once():
    decision = decide_on("quantile 0.99", np.arange(999.0), np.ones(5))
    found = withhold_promise(withhold_promise(decision, "days differ", when=""), "they were fitted")

    assert found.promise == (
        "No guarantee tonight: they were fitted; besides, days differ. The ranking is valid. "
        f"Withheld: {decision.promise}"
    )


def test_a_rule_without_a_promise_has_none_to_withhold():
    decision = decide_on("mad 5", np.arange(999.0), np.ones(5))
    found = withhold_promise(decision, "the bulk has moved")

    assert found.promise == f"{decision.promise} Besides, the bulk has moved."


@pytest.mark.parametrize(
    ("drifted", "flagged", "done", "verdicts"),
    [
        (True, 5000, 4, ("DRIFT", "FLOOD", "REVIEW 5000")),
        (True, 50, 4, ("DRIFT", "REVIEW 50")),
        (True, 0, 4, ("DRIFT",)),
        (True, 5000, 3, ("PARTIAL 3 of 4", "DRIFT", "FLOOD", "REVIEW 5000")),
        (False, 5000, 4, ("FLOOD", "REVIEW 5000")),
    ],
)
def test_drift_comes_before_flood_and_review_and_after_partial(drifted, flagged, done, verdicts):
    decision = decide_on("top", np.arange(3.0), np.arange(3.0))
    changed = replace(decision, flagged=flagged, limit=9)
    coverage = Coverage(rows=100, shards_done=done, shards_total=4)
    verdict, notes = judge_night(changed, coverage, alert_budget=1000, drifted=drifted)

    assert (verdict, *notes) == verdicts
