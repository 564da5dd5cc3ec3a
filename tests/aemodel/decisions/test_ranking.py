"""Summaries of shards: they merge exactly, and rank without sorting everything."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aemodel.decisions.ranking import Ranking, Tally

VALUES = [0.0, 0.5, 1.0, 1.5, 2.0, 7.0, np.inf]
CALIBRATION = np.array([0.5, 1.0, 1.0, 2.0])
few_values = st.lists(st.sampled_from(VALUES), max_size=40).map(np.array)


def ranked(scores):
    """Row numbers by descending score, then ascending row."""
    return sorted(range(len(scores)), key=lambda row: (-scores[row], row))


@given(scores=few_values, parts=st.integers(1, 5))
def test_tallies_of_parts_merge_to_that_of_the_whole(scores, parts):
    merged = Tally.of(CALIBRATION, scores[:0])
    for part in np.array_split(np.random.default_rng(0).permutation(scores), parts):
        merged = merged.merge(Tally.of(CALIBRATION, part, threshold=1.0))
    whole = Tally.of(CALIBRATION, scores, threshold=1.0)

    assert (merged.by_rank == whole.by_rank).all()
    assert (merged.picture == whole.picture).all()
    assert (merged.above, merged.rows) == (whole.above, whole.rows)


@given(scores=few_values, parts=st.integers(1, 5), keep=st.integers(0, 10))
def test_rankings_of_parts_merge_to_that_of_the_whole(scores, parts, keep):
    rows = np.arange(len(scores))
    merged = Ranking.of(keep, scores[:0], rows[:0])
    for part in np.array_split(np.random.default_rng(0).permutation(rows), parts):
        merged = merged.merge(Ranking.of(keep, scores[part], part))

    assert merged.rows.tolist() == ranked(scores)[:keep]


def test_a_long_list_is_ranked_without_sorting_it_all(random):
    scores = random.integers(0, 50, 10_000).astype(float)
    ranking = Ranking.of(30, scores, np.arange(10_000))

    assert ranking.rows.tolist() == ranked(scores)[:30]
