"""A row's split depends only on its content."""

from __future__ import annotations

import numpy as np

from aemodel.rows.hashes import row_hashes
from aemodel.rows.splits import hasher_for, sides_of
from aemodel.settings import TrainSettings

ROWS = np.random.default_rng(0).normal(size=(20_000, 3)).astype(np.float32)


def test_every_row_is_in_exactly_one_split():
    sides = sides_of(row_hashes(ROWS), TrainSettings())
    assert (sides.fit.astype(int) + sides.validation + sides.calibration == 1).all()


def test_splits_have_the_requested_shares():
    sides = sides_of(row_hashes(ROWS), TrainSettings(calibration=0.2, validation=0.1))
    found = [sides.calibration.mean(), sides.validation.mean()]

    np.testing.assert_allclose(found, [0.2, 0.1], atol=0.01)


def sides_in_pieces(rows, settings, cuts):
    hasher = hasher_for(settings)
    pieces = [sides_of(hasher(piece), settings).fit for piece in np.split(rows, cuts)]
    return np.concatenate(pieces)


def test_a_row_keeps_its_split_at_any_position():
    order = np.random.default_rng(1).permutation(len(ROWS))
    one = sides_of(row_hashes(ROWS), TrainSettings())
    other = sides_of(row_hashes(ROWS[order]), TrainSettings())

    np.testing.assert_array_equal(one.fit[order], other.fit)


def test_copies_of_a_row_are_split_like_other_rows():
    hashes = hasher_for(TrainSettings())(np.zeros((20_000, 3), np.float32))
    sides = sides_of(hashes, TrainSettings(calibration=0.2, validation=0.1))

    assert len(np.unique(hashes)) == len(hashes)
    shares = [sides.calibration.mean(), sides.validation.mean()]
    np.testing.assert_allclose(shares, [0.2, 0.1], atol=0.01)


def test_copies_keep_their_splits_when_more_copies_are_appended():
    few = hasher_for(TrainSettings())(np.repeat(ROWS[:50], 3, axis=0))
    more = hasher_for(TrainSettings())(np.concatenate([np.repeat(ROWS[:50], 3, axis=0), ROWS[:50]]))

    np.testing.assert_array_equal(few, more[:150])


def test_copies_stay_together_with_split_content():
    settings = TrainSettings(split="content")
    sides = sides_of(hasher_for(settings)(np.repeat(ROWS, 2, axis=0)), settings)

    np.testing.assert_array_equal(sides.fit[::2], sides.fit[1::2])


def test_splits_do_not_depend_on_how_rows_are_chunked():
    rows = np.repeat(ROWS[:500], 4, axis=0)[np.random.default_rng(2).permutation(2000)]
    whole = sides_in_pieces(rows, TrainSettings(), [])

    np.testing.assert_array_equal(whole, sides_in_pieces(rows, TrainSettings(), [1, 700, 701]))


def test_equal_rows_have_equal_hashes_and_others_do_not_at_any_width():
    for width in (1, 3, 8, 13, 200_000):
        rows = np.zeros((3, width), np.uint8)
        rows[1, -1] = 1
        first, other, equal = row_hashes(rows)
        assert first == equal != other


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
