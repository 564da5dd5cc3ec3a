"""Folds of clean rows, and what the calibration says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moving import clean_series, fitted, sensor_rows

from aemodel.series.fitting.fit import FOLDS, Folds, Scaled, fit_series
from aemodel.series.settings import Baseline, WindowSettings


def numbered(*lengths):
    """Pieces whose only value is the number of the row."""
    starts = np.cumsum([0, *lengths])
    rows = np.arange(starts[-1], dtype=np.float32)[:, None]
    return [Scaled(int(a), rows[a:b]) for a, b in itertools.pairwise(starts)]


@given(lengths=st.lists(st.integers(1, 300), min_size=1, max_size=6), window=st.integers(16, 64))
def test_every_row_is_held_out_once_and_never_fitted_on_then(lengths, window):
    pieces, folds = numbered(*lengths), Folds.of(sum(lengths), window)
    held = [(fold, rows[:, 0]) for fold, rows in folds.held(pieces)]

    for fold in {fold for fold, _ in held}:
        own = np.concatenate([rows for number, rows in held if number == fold])
        others = [rows[:, 0] for rows in folds.others(pieces, fold)]
        together = np.sort(np.concatenate([own, *others]))
        assert together.tolist() == list(range(sum(lengths)))


@pytest.mark.parametrize(("total", "count"), [(10, 2), (128, 2), (400, 3), (10_000, FOLDS)])
def test_there_are_as_many_folds_as_hold_two_windows(total, count):
    assert len(Folds.of(total, 64).bounds) - 1 == count


def test_rows_of_a_fold_never_join_across_a_fold_that_is_left_out():
    others = Folds((0, 10, 20, 30)).others(numbered(30), 1)

    assert [rows[:, 0].tolist() for rows in others] == [list(range(10)), list(range(20, 30))]


def test_clean_rows_are_calibrated_by_stretches_of_at_least_two_windows():
    calibration = fitted(sensor_rows(8000)).calibration

    assert calibration.rows == 8000
    assert calibration.stretch >= 2 * 64
    assert (np.diff(calibration.highest) >= 0).all()
    assert 0 < calibration.usual <= calibration.ordinary


def test_a_fit_gives_the_same_bits_again():
    first, second = fitted(), fitted()

    np.testing.assert_array_equal(first.calibration.highest, second.calibration.highest)
    np.testing.assert_array_equal(first.scorer.reference.points, second.scorer.reference.points)


def test_a_baseline_of_a_warm_up_is_calibrated_by_nights_with_their_own():
    settings = WindowSettings(window=32, baseline=Baseline.parse("warmup 400"))
    model = fit_series(clean_series(sensor_rows(9600)), settings)

    assert model.calibration.rows == 6 * 1200  # nights of 1,600 rows, each without its warm-up
