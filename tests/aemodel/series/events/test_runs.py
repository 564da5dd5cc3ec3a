"""Runs of high scores, and the events that they merge into."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aemodel.series.events.runs import events_above, merge_runs, runs_above

SCORES = st.lists(st.sampled_from([0.0, 0.5, 1.5, 2.5, np.nan]), min_size=1, max_size=60)


def runs_of(scores, *, first=0, segment=0, above=1.0):
    scores = np.array(scores, float)
    return list(runs_above(scores, above=above, first=first, entity=0, segment=segment))


def test_a_run_has_its_rows_and_the_first_of_its_highest():
    (run,) = runs_of([0, 2, 3, 3, 0], first=100)

    assert (run.start, run.stop, run.peak, run.score) == (101, 104, 102, 3)


@given(scores=SCORES, cuts=st.sets(st.integers(1, 59)), gap=st.integers(1, 6))
def test_runs_of_pieces_merge_to_the_events_of_the_whole(scores, cuts, gap):
    bounds = [0, *sorted(cut for cut in cuts if cut < len(scores)), len(scores)]
    pieces = itertools.pairwise(bounds)
    parts = [run for a, b in pieces for run in runs_of(scores[a:b], first=a)]

    assert list(merge_runs(parts, gap=gap)) == list(merge_runs(runs_of(scores), gap=gap))


def test_runs_at_least_a_gap_apart_stay_two_events():
    runs = runs_of([2, 0, 0, 2])

    assert len(list(merge_runs(runs, gap=2))) == 2
    assert len(list(merge_runs(runs, gap=3))) == 1


def test_no_event_crosses_a_segment():
    runs = [*runs_of([2, 2]), *runs_of([2, 2], first=2, segment=2)]

    assert len(list(merge_runs(runs, gap=100))) == 2


def test_events_peak_above_the_cut_and_come_highest_first():
    runs = runs_of([2, 0, 0, 5, 0, 0, 4, 0, 0, 1.5])

    assert [event.score for event in events_above(runs, 2.0, gap=1)] == [5, 4]
