"""What a rule promises where clean rows come in files or days."""

from __future__ import annotations

import numpy as np
import pytest

from aemodel.decisions.block_promises import clean_in_block, flagged_shares, rest_on_blocks
from aemodel.decisions.block_scores import BlockScores, compare_blocks
from aemodel.decisions.rules import decide_beforehand, parse_rule

ROWS = 500


def judged(spreads, *, rule="quantile 0.99", held_out=True, night=1000):
    """The decision where file k has scores that are `spreads[k]` times as large."""
    random = np.random.default_rng(0)
    scores = np.concatenate([each * random.chisquare(5, ROWS) for each in spreads])
    numbers = np.repeat(np.arange(len(spreads)), ROWS)
    order = np.argsort(scores)
    members = (numbers[order] if held_out else numbers[:0]).astype(np.int32)
    blocks = BlockScores("files", *compare_blocks(scores[order], scores, numbers), members)
    parsed, bare = parse_rule(rule), decide_beforehand(parse_rule(rule), scores[order])
    return rest_on_blocks(bare, parsed, scores[order], blocks, rows=night), bare


def test_a_promise_says_how_many_held_out_files_it_rests_on():
    decision, bare = judged(np.ones(8))

    assert decision.promises
    assert decision.cut == bare.cut
    assert decision.promise == (
        f"{bare.promise} This rests on 8 calibration files; clean files differ by no more than "
        "chance."
    )


@pytest.mark.parametrize("rule", ["quantile 0.99", "fdr 0.1"])
def test_files_that_differ_withhold_the_promise(rule):
    decision, bare = judged(np.linspace(1, 2, 8), rule=rule)

    assert (bare.promises, decision.promises) == (True, False)
    assert decision.promise.startswith("No guarantee: it would rest on 8 calibration files, and ")
    assert decision.promise.endswith(f"The ranking is valid. Withheld: {bare.promise}")


def test_too_few_held_out_files_withhold_the_promise():
    for count, name in ((1, "1 of the files"), (3, "3 calibration files")):
        decision, _ = judged(np.ones(count))
        assert not decision.promises
        assert f"it would rest on {name}, too few to tell how files differ" in decision.promise


def test_without_held_out_files_a_difference_withholds_the_promise_and_says_what_to_set():
    decision, _ = judged(np.linspace(1, 2, 8), held_out=False)

    assert not decision.promises
    assert (decision.expected, decision.limit) == (None, None)
    assert 'set train.split = "blocks" to hold out whole files' in decision.promise
    alike, bare = judged(np.ones(8), held_out=False)
    assert alike == bare


def test_rules_without_a_promise_keep_their_words():
    for rule in ("absolute 9", "mad 6", "top"):
        decision, bare = judged(np.linspace(1, 2, 8), rule=rule)
        assert decision.promise == bare.promise


def test_each_file_is_judged_by_the_others():
    members = np.repeat([0, 1], 200).astype(np.int32)
    scores = np.r_[np.arange(200.0), 1000 + np.arange(200.0)]
    shares = flagged_shares(parse_rule("quantile 0.99"), scores, members)

    np.testing.assert_array_equal(shares, [0.0, 1.0])


def test_a_clean_file_exceeds_the_limit_in_at_most_one_of_a_hundred_cases(random):
    above = 0
    for _ in range(400):
        shares = random.beta(2, 100, 9)
        above += random.binomial(1000, shares[0]) > clean_in_block(shares[1:], 1000).limit
    assert above <= 4 + 6


def test_few_held_out_files_give_no_limit():
    assert clean_in_block(np.array([0.01, 0.03]), 1000) == (20.0, None)
