"""Groups of entities that are judged by their own calibration rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aemodel.decisions.entity_groups import entity_groups, rest_on_groups
from aemodel.decisions.ranking import Tally
from aemodel.decisions.rules import decide_beforehand, parse_rule
from aemodel.measured import Measured
from aemodel.rows.entities.scales import Entities
from aemodel.training.measure import _nothing_measured

RULE = parse_rule("quantile 0.9")  # needs 9 calibration rows


def measured(scores: np.ndarray, members: np.ndarray) -> Measured:
    """Calibration rows (n,) with these errors and entities."""
    order = np.argsort(scores)
    return replace(
        _nothing_measured(),
        calibration=scores[order],
        entities=np.stack([members[order]] * 3).astype(np.int32),
    )


def entities(*fit_rows: int) -> Entities:
    keys = np.arange(len(fit_rows), dtype=float)
    scales = np.ones((len(keys) + 1, 2))
    return Entities(column=0, keys=keys, level=scales, spread=scales, rows=np.array(fit_rows))


def drawn(counts: list[int], random: np.random.Generator, power: float = 1.0):
    """Scores of entities, the k-th (k + 1)^power times as large; which entity each is from."""
    members = np.repeat(np.arange(len(counts)), counts)
    return random.exponential(size=len(members)) * (members + 1.0) ** power, members


def rows_of(members: np.ndarray) -> np.ndarray:
    return np.column_stack([members, members]).astype(float)


def grouped(counts: list[int], random, rule=RULE, power=1.0):
    scores, members = drawn(counts, random, power)
    known = entities(*(9 * np.array(counts)))
    return entity_groups(known, measured(scores, members), "error", rule)


def test_entities_with_enough_rows_are_alone_and_the_others_share_groups_by_their_rows(random):
    found = grouped([5, 100, 8, 9, *[8] * 20], random)

    assert found.own == 2
    assert found.of_entity[[1, 3, 0]].tolist() == [0, 1, 2]
    assert np.bincount(found.of_entity).tolist() == [1, 1, 3, 19, 1]
    assert min(map(len, found.calibrations)) >= 9


def test_too_few_other_rows_join_the_smallest_entity_with_a_group_of_its_own(random):
    found = grouped([30, 12, 3], random)

    assert found.own == 1
    assert found.of_entity.tolist() == [0, 1, 1, 2]


def test_of_entities_of_one_size_one_joins_those_with_too_few_rows(random):
    assert grouped([3, 30, 30], random).of_entity.tolist() == [1, 1, 0, 2]


def test_entities_without_calibration_rows_are_judged_with_others_that_have_some(random):
    found = grouped([30, 12, 0], random)

    assert found.of_entity.tolist() == [0, 1, 1, 2]
    assert list(map(len, found.calibrations)) == [30, 12, 42]


def test_where_most_calibration_rows_are_of_unknown_entities_all_rows_are_judged_alike(random):
    scores, members = drawn([4, 4, 50], random)

    assert entity_groups(entities(40, 40), measured(scores, members), "error", RULE) is None


@pytest.mark.parametrize("odd", ["", "zero", "infinite"])
def test_a_row_is_flagged_by_its_judged_score_just_where_its_p_value_is_small(random, odd):
    scores, members = drawn([30, 40, 50], random)
    if odd:
        scores[30:35] = np.inf
        scores[70:] *= 0.0 if odd == "zero" else 1.0
    found = entity_groups(entities(300, 400, 500), measured(scores, members), "error", RULE)
    night, which = drawn([200, 200, 200], random)
    night[:120] = scores
    which[:120] = members
    rows = rows_of(which)

    flagged = found.judged(rows, night) > found.cut
    assert flagged.any()
    assert np.array_equal(flagged, found.p_values(rows, night) <= found.highest_flagged)


def test_judged_scores_rise_with_the_scores_of_an_entity_also_beyond_all_calibration_rows(random):
    found = grouped([50, 50], random, power=5)
    scores = np.sort(random.exponential(size=1_000) * 1e3)
    judged = found.judged(rows_of(np.zeros(1_000)), scores)

    assert (np.diff(judged) > 0).all()


def test_an_unknown_entity_is_judged_by_all_calibration_rows(random):
    found = grouped([50, 50], random)
    scores = np.array([0.5, 2.0, found.cut, 9.0])
    rows = rows_of(np.array([7.0, np.nan, 7.0, 7.0]))

    assert found.judged(rows, scores).tolist() == scores.tolist()
    assert found.p_values(rows, scores)[3] >= 1 / 101


def test_every_group_has_its_promise_however_much_the_entities_differ(random):
    shares = []
    for _ in range(300):
        found = grouped([12, 40, *[4] * 10], random, power=3)
        scores, members = drawn([50] * 12, random, 3)
        flagged = found.judged(rows_of(members), scores) > found.cut
        groups = found.of_entity[members]
        shares.append([flagged[groups == group].mean() for group in range(groups.max() + 1)])

    assert np.mean(shares, axis=0) == pytest.approx(0.1, abs=0.03)
    assert (np.mean(shares, axis=0) < 0.1 + 3 * np.std(shares, axis=0) / np.sqrt(300)).all()


def test_shards_merge_to_the_counts_of_the_whole_night(random):
    found = grouped([30, 40, 5, 5], random)
    scores, members = drawn([100, 100, 30, 30], random)
    ranked = found.judged(rows_of(members), scores)
    of_all, cut = found.calibration, found.cut
    whole = Tally.of(of_all, scores, threshold=cut, judged=ranked)
    parts = [
        Tally.of(of_all, scores[part], threshold=cut, judged=ranked[part])
        for part in (slice(0, 77), slice(77, None))
    ]

    assert parts[0].merge(parts[1]).above == whole.above == (ranked > cut).sum()
    assert np.array_equal(parts[0].merge(parts[1]).picture, whole.picture)


def test_the_promise_says_how_many_entities_are_judged_by_their_own_rows(random):
    found = grouped([30, 40, *[8] * 30], random)
    decision = rest_on_groups(decide_beforehand(RULE, found.calibration), found, rows=900, above=80)

    assert decision.flagged == 80
    assert decision.expected <= 90 <= decision.limit
    assert decision.promise.startswith(
        "At most 10 % of clean rows are flagged on average, in every group of entities: "
        "2 of 32 entities are judged by their own calibration rows, the others in 3 groups"
    )


@pytest.mark.parametrize("text", ["fdr 0.1", "top", "absolute 2", "quantile 0.999"])
def test_rules_other_than_a_quantile_with_enough_rows_judge_all_entities_alike(random, text):
    assert grouped([30, 40], random, parse_rule(text)) is None
