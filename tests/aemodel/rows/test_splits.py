"""Sides are decided by the content of a row alone."""

from __future__ import annotations

import numpy as np

from aemodel.rows.splits import row_hashes, sides_of
from aemodel.settings import TrainSettings

ROWS = np.random.default_rng(0).normal(size=(20_000, 3)).astype(np.float32)


def test_every_row_has_exactly_one_side():
    sides = sides_of(row_hashes(ROWS), TrainSettings())
    assert (sides.fit.astype(int) + sides.validation + sides.calibration == 1).all()


def test_shares_are_as_asked():
    sides = sides_of(row_hashes(ROWS), TrainSettings(calibration=0.2, validation=0.1))
    np.testing.assert_allclose(
        [sides.calibration.mean(), sides.validation.mean()], [0.2, 0.1], atol=0.01
    )


def test_a_row_keeps_its_side_wherever_it_stands_and_duplicates_stay_together():
    order = np.random.default_rng(1).permutation(len(ROWS))
    one, other = (
        sides_of(row_hashes(ROWS), TrainSettings()),
        sides_of(row_hashes(np.repeat(ROWS[order], 2, axis=0)), TrainSettings()),
    )
    np.testing.assert_array_equal(one.fit[order], other.fit[::2])
    np.testing.assert_array_equal(other.fit[::2], other.fit[1::2])


def test_more_validation_rows_leave_calibration_rows_where_they_are():
    one, other = (
        sides_of(row_hashes(ROWS), TrainSettings(validation=share)).calibration
        for share in (0.0, 0.3)
    )
    np.testing.assert_array_equal(one, other)


def test_hashes_do_not_depend_on_layout_or_byte_order():
    np.testing.assert_array_equal(row_hashes(ROWS), row_hashes(np.asfortranarray(ROWS)))
    np.testing.assert_array_equal(row_hashes(ROWS), row_hashes(ROWS.astype(">f4")))


def test_no_rows_have_no_hashes():
    assert row_hashes(ROWS[:0]).shape == (0,)
