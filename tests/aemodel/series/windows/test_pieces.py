"""Scores of points: the same however rows come in pieces, and bounded by what windows cover."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving import fitted, sensor_rows

from aemodel.series.windows.points import Piece, hold_gaps

WINDOW = 64
TONIGHT = sensor_rows(1500, seed=5)


@pytest.fixture(scope="module")
def models():
    return {stride: fitted(stride=stride) for stride in (2, 8)}


def in_pieces(scorer, rows, size):
    """Scores of rows (n, d) read `size` at a time, each with the context that it needs."""
    found, n = [], len(rows)
    for start in range(0, n, size):
        stop = min(start + size, n)
        first, last = max(0, start - scorer.context), min(n, stop + scorer.context)
        piece = Piece(rows[first:last], first=first, ends=last == n)
        found.append(scorer.points(piece)[start - first : stop - first])
    return np.concatenate(found)


@pytest.mark.parametrize("stride", [2, 8])
@settings(max_examples=15, deadline=None)
@given(n=st.integers(1, 1500), size=st.integers(50, 1500))
def test_pieces_of_any_size_have_the_same_scores_bit_for_bit(models, stride, n, size):
    model = models[stride]
    rows = model.scaled(TONIGHT[:n], 0)

    at_once = model.scorer.points(Piece(rows))

    np.testing.assert_array_equal(in_pieces(model.scorer, rows, size), at_once)


def test_every_row_of_a_segment_of_at_least_one_window_has_a_score(models):
    scores = models[8].scorer.points(Piece(models[8].scaled(TONIGHT[: WINDOW + 3], 0)))

    assert np.isfinite(scores).all()


def test_a_segment_shorter_than_a_window_has_no_scores(models):
    scores = models[8].scorer.points(Piece(models[8].scaled(TONIGHT[: WINDOW - 1], 0)))

    assert np.isnan(scores).all()


def test_a_level_shift_scores_higher_than_every_other_row(models):
    rows = TONIGHT.copy()
    rows[700:800, 2] += 5 * rows[:, 2].std()

    scores = models[8].scorer.points(Piece(models[8].scaled(rows, 0)))

    assert 700 - WINDOW <= scores.argmax() < 800 + WINDOW
    assert scores[700:800].min() > np.delete(scores, np.s_[600:900]).max()


def test_scoring_leaves_its_rows_as_they_are(models):
    rows = TONIGHT.copy()

    models[8].scorer.points(Piece(models[8].scaled(rows, 0)))

    np.testing.assert_array_equal(rows, TONIGHT)


def test_a_gap_holds_the_last_value_for_so_many_rows_and_then_the_clean_level():
    rows = np.array([[3.0], [np.nan], [np.nan], [np.nan], [5.0]], np.float32)

    assert hold_gaps(rows, 2)[:, 0].tolist() == [3, 3, 3, 0, 5]


def test_a_gap_at_the_beginning_is_the_clean_level():
    rows = np.array([[np.nan, 1], [2, np.nan]], np.float32)

    assert hold_gaps(rows, 5).tolist() == [[0, 1], [2, 1]]


@settings(max_examples=10, deadline=None)
@given(at=st.lists(st.integers(0, 1499), max_size=60), size=st.integers(60, 700))
def test_pieces_with_gaps_have_the_same_scores_bit_for_bit(models, at, size):
    model, rows = models[8], TONIGHT.copy()
    rows[at, 1], scorer = np.nan, model.scorer
    found = []
    for start in range(0, len(rows), size):
        first, last = max(0, start - scorer.context), min(len(rows), start + size + scorer.context)
        piece = Piece(model.scaled(rows[first:last], 0), first=first, ends=last == len(rows))
        found.append(scorer.points(piece)[start - first : start - first + size])

    at_once = scorer.points(Piece(model.scaled(rows, 0)))

    np.testing.assert_array_equal(np.concatenate(found), at_once)
