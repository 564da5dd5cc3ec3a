"""With train.split = "blocks", all rows of a file or day are in one split."""

from __future__ import annotations

import numpy as np
import pytest

from aemodel.errors import DataError
from aemodel.rows.blocks import CleanBlocks, split_blocks
from aemodel.rows.splits import hasher_for, sides_of
from aemodel.settings import TrainSettings

ROWS = 100  # of every block
SETTINGS = TrainSettings(split="blocks", calibration=0.2, validation=0.1)


def blocks_of(count):
    names = tuple(f"day-{number:03}.parquet" for number in range(count))
    return CleanBlocks("files", names, lambda start, stop: np.arange(start, stop) // ROWS)


def sides_by_block(count, *, pieces=1, settings=SETTINGS):
    """Share of each block's rows in fit, validation and calibration, (count, 3)."""
    rows = np.random.default_rng(0).normal(size=(count * ROWS, 3))
    hasher = hasher_for(settings, split_blocks(blocks_of(count), settings))
    sides = [sides_of(hasher(piece), settings) for piece in np.array_split(rows, pieces)]
    each = [np.r_[*(getattr(s, n) for s in sides)] for n in ("fit", "validation", "calibration")]
    return np.stack([side.reshape(count, ROWS).mean(axis=1) for side in each], axis=1)


def test_every_block_is_whole_in_one_split():
    shares = sides_by_block(40)

    assert set(np.unique(shares)) == {0.0, 1.0}
    np.testing.assert_array_equal(shares.sum(axis=1), 1)
    np.testing.assert_array_equal(shares.sum(axis=0), [28, 4, 8])


def test_blocks_do_not_depend_on_how_rows_are_chunked():
    np.testing.assert_array_equal(sides_by_block(10), sides_by_block(10, pieces=17))


def test_even_three_blocks_give_one_to_each_split():
    np.testing.assert_array_equal(sides_by_block(3).sum(axis=0), [1, 1, 1])
    halves = TrainSettings(split="blocks", calibration=0.5, validation=0.4)
    np.testing.assert_array_equal(sides_by_block(4, settings=halves).sum(axis=0), [2, 1, 1])


def test_a_block_keeps_its_split_as_others_are_added_unless_it_is_at_a_border():
    few, more = sides_by_block(40), sides_by_block(41)[:40]

    assert (few != more).any(axis=1).sum() <= 2


def test_without_validation_rows_two_blocks_are_enough():
    settings = TrainSettings(split="blocks", validation=0.0)
    np.testing.assert_array_equal(sides_by_block(2, settings=settings).sum(axis=0), [1, 0, 1])


def test_too_few_blocks_are_refused():
    with pytest.raises(DataError, match=r"at least 3 files of clean rows.* Got 2 instead; set"):
        split_blocks(blocks_of(2), SETTINGS)


def test_rows_without_blocks_are_refused():
    with pytest.raises(DataError, match="needs clean rows of several files"):
        hasher_for(SETTINGS)
