"""Drift against blocks: a night must differ by more than clean files or days do."""

from __future__ import annotations

import numpy as np
import pytest

from aemodel.decisions.block_scores import (
    LEVELS,
    BlockScores,
    compare_blocks,
    farthest,
    night_quantiles,
    shares_at_levels,
)
from aemodel.decisions.drift import find_drift
from aemodel.decisions.ranking import Tally

ROWS = 400
NONE = np.empty(0, np.int32)


def day(random, spread, n=ROWS):
    """Scores of a day that has a scale of its own."""
    return np.exp(spread * random.normal()) * random.chisquare(5, n)


def measured(random, days, spread, *, rows=ROWS, held_out=False):
    """Calibration scores, ascending, and what they say about their days."""
    scores = np.concatenate([day(random, spread, rows) for _ in range(days)])
    numbers = np.repeat(np.arange(days), rows)
    order = np.argsort(scores)
    members = numbers[order].astype(np.int32) if held_out else NONE
    found = compare_blocks(scores[order], scores, numbers)
    return scores[order], BlockScores("days", *found, members)


def blocks_of(rows):
    """Calibration scores, ascending, of days with these scores, and what they say about days."""
    scores, numbers = np.concatenate(rows), np.repeat(np.arange(len(rows)), [*map(len, rows)])
    return np.sort(scores), BlockScores(
        "days", *compare_blocks(np.sort(scores), scores, numbers), NONE
    )


def alarms(random, days, spread, *, nights=20, times=1.0, models=10, held_out=False):
    """Number of nights called DRIFT."""
    count = 0
    for _ in range(models):
        calibration, blocks = measured(random, days, spread, held_out=held_out)
        for _ in range(nights):
            night = times * day(random, spread, 2000)
            drift = find_drift(calibration, Tally.of(calibration, night), blocks)
            count += bool(drift and drift.alarm)
    return count


@pytest.mark.parametrize("days", [5, 8, 30])
@pytest.mark.parametrize("spread", [0.0, 0.1, 0.4])
def test_at_most_one_clean_night_in_a_hundred_is_drift_where_days_differ(random, days, spread):
    assert alarms(random, days, spread) <= 2 + 3  # of 200, and three standard errors


@pytest.mark.parametrize("days", [5, 8, 20])
def test_at_most_one_clean_night_in_a_hundred_is_drift_where_few_days_differ_much(random, days):
    # level of a day: exponential, so that most days are alike
    count, levels = 0, lambda n: 1 + random.exponential(size=n)
    for _ in range(60):
        rows = [level * random.chisquare(5, 100) for level in levels(days)]
        calibration, blocks = blocks_of(rows)
        for level in levels(10):
            night = Tally.of(calibration, level * random.chisquare(5, 1000))
            drift = find_drift(calibration, night, blocks)
            count += bool(drift and drift.alarm)
    assert count <= 6 + 3 * np.sqrt(6)  # of 600, and three standard errors


def idle_day(random, share, n=ROWS):
    """Scores of a machine that is off, which gives a low score, for a share of the day."""
    return np.where(random.random(n) < share, 0.01, random.chisquare(5, n))


def test_a_machine_that_is_off_for_another_share_of_every_day_is_no_drift(random):
    count = 0
    for _ in range(30):
        calibration, blocks = blocks_of([idle_day(random, s) for s in random.beta(4, 4, 5)])
        for share in random.beta(4, 4, 10):
            drift = find_drift(calibration, Tally.of(calibration, idle_day(random, share)), blocks)
            count += bool(drift and drift.alarm)
    assert count <= 3 + 3 * np.sqrt(3)  # of 300; with one quantile more than 20


@pytest.mark.parametrize(("blocks", "limit"), [(5, 9.56), (20, 4.96), (1_000, 3.93)])
def test_the_limit_is_exceeded_by_less_than_one_in_a_hundred_exponential_values(
    random, blocks, limit
):
    values, one_more = random.exponential(size=(20_000, blocks)), random.exponential(size=20_000)
    spread = values.std(axis=1, ddof=1) * np.sqrt(1 + 1 / blocks)
    beyond = np.abs(one_more - values.mean(axis=1)) > farthest(blocks) * spread

    assert farthest(blocks) == pytest.approx(limit)
    assert beyond.mean() == pytest.approx(0.0075, abs=0.002)


def test_without_blocks_most_of_these_nights_would_be_drift(random):
    calibration, _ = measured(random, 5, 0.4)
    nights = [Tally.of(calibration, day(random, 0.4, 2000)) for _ in range(20)]

    assert sum(find_drift(calibration, night).alarm for night in nights) > 15


@pytest.mark.parametrize(("days", "times"), [(5, 3.0), (30, 2.0)])
def test_a_night_beyond_all_clean_days_is_drift(random, days, times):
    assert alarms(random, days, 0.1, times=times, nights=10) >= 95


def test_fewer_than_five_days_are_compared_by_their_rows_alone(random):
    calibration, blocks = measured(random, 4, 0.0)
    night = Tally.of(calibration, day(random, 0.0))
    drift = find_drift(calibration, night, blocks)

    assert drift == find_drift(calibration, night)
    assert drift.blocks == 0


def test_two_held_out_days_are_compared_and_one_tells_nothing(random):
    assert alarms(random, 2, 0.4, held_out=True) <= 2 + 3
    calibration, blocks = measured(random, 1, 0.4, held_out=True)
    assert find_drift(calibration, Tally.of(calibration, day(random, 0.4)), blocks) is None


def test_drift_says_how_many_blocks_it_was_compared_with(random):
    calibration, blocks = measured(random, 6, 0.1)
    drift = find_drift(calibration, Tally.of(calibration, 9 * day(random, 0.1)), blocks)

    assert drift.blocks == 6
    assert drift.beyond > 1
    assert drift.to_text().endswith("more than 6 clean days differ")


@pytest.mark.parametrize("rows", [25, 1000])
def test_days_that_are_alike_seldom_seem_to_differ(random, rows):
    found = [measured(random, 12, 0.0, rows=rows) for _ in range(200)]
    assert sum(blocks.differ(calibration) for calibration, blocks in found) <= 2 + 4

    calibration, blocks = measured(random, 12, 0.4, rows=1000)
    assert blocks.differ(calibration)


def test_days_of_equal_scores_do_not_differ():
    found = compare_blocks(np.ones(300), np.ones(300), np.repeat(np.arange(6), 50))
    blocks = BlockScores("days", *found, NONE)

    assert not blocks.differ(np.ones(300))
    assert blocks.beyond(np.ones(300), Tally.of(np.ones(300), np.ones(80))) < 1


def test_blocks_with_few_rows_are_not_compared():
    numbers = np.repeat([0, 1, 2], [50, 3, 50])
    counted, shares, _ = compare_blocks(np.arange(103.0), np.arange(103.0), numbers)

    np.testing.assert_array_equal(counted, [50, 50])
    assert shares.shape == (2, 5)


def test_a_night_has_the_shares_that_its_scores_have(random):
    calibration = np.sort(random.integers(0, 9, 200).astype(float))
    night = random.integers(0, 9, 77).astype(float)
    _, [expected], _ = compare_blocks(calibration, night, np.zeros(77, np.intp))

    np.testing.assert_allclose(shares_at_levels(Tally.of(calibration, night)), expected)


def test_the_quantiles_of_a_night_are_known_within_and_beyond_the_calibration_scores(random):
    calibration = np.sort(random.chisquare(5, 5000))
    for times, within in ((1.0, 0.02), (30.0, 0.15)):  # beyond, a bin of the histogram is wide
        night = times * random.chisquare(5, 3000)
        found = night_quantiles(calibration, Tally.of(calibration, night))
        np.testing.assert_allclose(found, np.quantile(night, LEVELS), rtol=within)


def test_a_night_above_all_scores_is_drift_even_where_no_share_could_tell(random):
    # angles end at 0: with such days, even a night without a row below any quantile is near them
    assert alarms(random, 12, 0.5, times=100, nights=5) == 50
