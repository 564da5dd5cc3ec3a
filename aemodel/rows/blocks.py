"""Blocks: groups of clean rows that may resemble each other, such as files, days, or entities.

With train.split = "blocks", all rows of a block are in one split, which depends on the hash of the
block's name: a block keeps its split as others are added, except for those next to a border.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aemodel.errors import DataError
from aemodel.rows.hashes import RowHasher
from aemodel.settings import TrainSettings

MARGIN = 1e-6  # of a split's range of hashes, left free at both ends against rounding


@dataclass(frozen=True)
class CleanBlocks:
    """The blocks of the clean rows.

    kind: what they are, in the plural, as in "files". names: of all blocks, distinct.
    numbers: takes two row numbers, as a pass counts rows, and returns the block of each row
        between them, as an index of `names`. It is called for rows of the chunk that the latest
        pass has yielded last.
    """

    kind: str
    names: tuple[str, ...]
    numbers: Callable[[int, int], NDArray[np.intp]]

    @cached_property
    def positions(self) -> NDArray[np.float64]:
        """Hash of each block's name, from 0 to 1."""
        digests = [hashlib.sha256(name.encode(errors="surrogatepass")) for name in self.names]
        return np.array([int.from_bytes(each.digest()[:8]) / 2.0**64 for each in digests])


@dataclass(frozen=True)
class BlockSplit:
    """Which blocks are in which split.

    cuts: (2,) float64, ascending. Blocks with a position below the first are calibration blocks,
        up to the second validation blocks, and others fit blocks.
    """

    blocks: CleanBlocks
    cuts: NDArray[np.float64]


class BlockHasher:
    """Hashes the rows of one pass into the range of hashes that belongs to their block's split.

    Within its range, the hash of a row depends on its content and occurrence number.
    """

    def __init__(self, split: BlockSplit, settings: TrainSettings) -> None:
        borders = np.array(
            [0.0, settings.calibration, settings.calibration + settings.validation, 1.0]
        )
        side = np.searchsorted(split.cuts, split.blocks.positions, side="right")
        self._low, self._width = borders[side], np.diff(borders)[side]
        self._numbers, self._row = split.blocks.numbers, 0
        self._within = RowHasher(count_copies=True)

    def __call__(self, rows: NDArray[np.generic]) -> NDArray[np.uint64]:
        """Hash the next rows (n, *row_shape): (n,)."""
        start, self._row = self._row, self._row + len(rows)
        numbers = self._numbers(start, self._row)
        share = MARGIN + (1 - 2 * MARGIN) * (self._within(rows) / 2.0**64)
        position = self._low[numbers] + self._width[numbers] * share
        return (position * 2.0**64).astype(np.uint64)


def split_blocks(blocks: CleanBlocks, settings: TrainSettings) -> BlockSplit:
    """Split blocks by the shares `calibration` and `validation`, at least one block each.

    Raises DataError if there are too few blocks.
    """
    count = len(blocks.names)
    shares = (settings.calibration, settings.validation)
    held_out = [max(1, round(share * count)) if share else 0 for share in shares]
    fewest = 1 + sum(share > 0 for share in shares)
    if count < fewest:
        raise DataError(
            f"train.split = 'blocks' needs at least {fewest} {blocks.kind} of clean rows, one for "
            f"each split. Got {count} instead; set train.split = 'occurrence', add {blocks.kind} "
            "to data.clean, or name other blocks in train.blocks"
        )
    if sum(held_out) >= count:  # so few blocks that rounding leaves none to fit on
        held_out = [min(1, each) for each in held_out]
    ranked = np.concatenate([[0.0], np.sort(blocks.positions), [1.0]])
    between = (ranked[:-1] + ranked[1:]) / 2
    between[0] = 0.0
    return BlockSplit(blocks, between[np.cumsum(held_out)])
