"""A row's split depends only on its content."""

from __future__ import annotations

import numpy as np

from aemodel.rows.hashes import row_hashes
from aemodel.rows.splits import sides_of
from aemodel.settings import TrainSettings

ROWS = np.random.default_rng(0).normal(size=(20_000, 3)).astype(np.float32)


def test_every_row_is_in_exactly_one_split():
    sides = sides_of(row_hashes(ROWS), TrainSettings())
    assert (sides.fit.astype(int) + sides.validation + sides.calibration == 1).all()


def test_splits_have_the_requested_shares():
    sides = sides_of(row_hashes(ROWS), TrainSettings(calibration=0.2, validation=0.1))
    found = [sides.calibration.mean(), sides.validation.mean()]

    np.testing.assert_allclose(found, [0.2, 0.1], atol=0.01)


def test_a_row_keeps_its_split_at_any_position_and_duplicates_stay_together():
    order = np.random.default_rng(1).permutation(len(ROWS))
    one = sides_of(row_hashes(ROWS), TrainSettings())
    other = sides_of(row_hashes(np.repeat(ROWS[order], 2, axis=0)), TrainSettings())

    np.testing.assert_array_equal(one.fit[order], other.fit[::2])
    np.testing.assert_array_equal(other.fit[::2], other.fit[1::2])


def test_the_validation_share_does_not_change_the_calibration_rows():
    hashes = row_hashes(ROWS)
    without = sides_of(hashes, TrainSettings(validation=0.0))
    with_more = sides_of(hashes, TrainSettings(validation=0.3))

    np.testing.assert_array_equal(without.calibration, with_more.calibration)


def test_hashes_do_not_depend_on_layout_or_byte_order():
    np.testing.assert_array_equal(row_hashes(ROWS), row_hashes(np.asfortranarray(ROWS)))
    np.testing.assert_array_equal(row_hashes(ROWS), row_hashes(ROWS.astype(">f4")))


def test_no_rows_have_no_hashes():
    assert row_hashes(ROWS[:0]).shape == (0,)
