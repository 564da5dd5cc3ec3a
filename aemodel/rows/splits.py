"""Split clean rows into fit, validation and calibration rows by the content of each row.

A row stays in the same split in every retraining. By default the copies of a row are split like
any other rows (see `aemodel.rows.hashes`), so that calibration rows are distributed as the rows of
a night are. With train.split = "content", copies stay together; with "blocks", all rows of a block.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aemodel.errors import DataError
from aemodel.rows.blocks import BlockHasher, BlockSplit
from aemodel.rows.hashes import RowHasher
from aemodel.settings import TrainSettings

FEWEST_FIT_ROWS = 2


@dataclass(frozen=True)
class Sides:
    """Boolean masks (n,) of the rows of one chunk; each row is in exactly one split."""

    fit: NDArray[np.bool_]
    validation: NDArray[np.bool_]
    calibration: NDArray[np.bool_]


def hasher_for(
    settings: TrainSettings, blocks: BlockSplit | None = None
) -> RowHasher | BlockHasher:
    """Return the hasher whose hashes decide the splits in one pass over all clean rows.

    Raises DataError if split = "blocks" and no blocks are known.
    """
    if settings.split != "blocks":
        return RowHasher(count_copies=settings.split == "occurrence")
    if blocks is None:
        raise DataError(
            "train.split = 'blocks' needs clean rows of several files, days, or entities. Got none "
            "of these instead; name a column in train.blocks, or set train.split = 'occurrence'"
        )
    return BlockHasher(blocks, settings)


def sides_of(hashes: NDArray[np.uint64], settings: TrainSettings) -> Sides:
    """Assign rows with these hashes (n,) to splits by the shares `calibration` and `validation`."""
    position = hashes / 2.0**64
    calibration = position < settings.calibration
    validation = ~calibration & (position < settings.calibration + settings.validation)
    return Sides(~calibration & ~validation, validation, calibration)


def without_empty_parts(train: TrainSettings, hashes: NDArray[np.uint64]) -> TrainSettings:
    """Return settings without the parts that would have no rows.

    With few rows or many duplicates, no hash (n,) may select the validation or calibration part.
    """
    if not sides_of(hashes, train).calibration.any():
        train = replace(train, calibration=0.0)
    if not sides_of(hashes, train).validation.any():
        train = replace(train, validation=0.0, patience=0)
    if sides_of(hashes, train).fit.sum() < FEWEST_FIT_ROWS:
        train = replace(train, calibration=0.0, validation=0.0, patience=0)
    return train
