"""Scores of calibration rows as if no row of their block (file, day) had been fitted.

Where rows of every block were fitted, a calibration row has neighbors from its own block among the
reference rows. A row of a new block has none, so its novelty is higher. Here, the reference rows
that only one block holds do not count for the rows of that block. (The networks have seen the block
all the same: the error changes little by that.)

Fewer reference rows make every row more novel, also where blocks are alike. The same rows are
therefore scored a second time, as if the blocks had each other's reference rows at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from aemodel.measured import Rows, Vector
from aemodel.model import Autoencoder
from aemodel.rows.hashes import row_hashes
from aemodel.rows.splits import FEWEST_FIT_ROWS
from aemodel.rows.training_rows import FitRows
from aemodel.training.reference_rows import joined_sides, with_reference

MOST_BLOCKS = 50  # compared, evenly spaced over the source
MOST_OF_BLOCK = 2_000  # calibration rows of each
SEVERAL = -1  # owner of a row that several blocks hold, or none

Numbers = NDArray[np.intp]


@dataclass(frozen=True)
class WithoutBlocks:
    """Scores of calibration rows by each of SCORES, (m,) each, and the block of each row (m,).

    own: without the reference rows of their block. random: without as many at random.
    """

    own: list[Vector]
    random: list[Vector]
    numbers: Numbers


def scores_without_own_block(model: Autoencoder, rows: FitRows) -> WithoutBlocks:
    """Score calibration rows without the reference rows of their block, and without others.

    model: what scores calibration rows, see `judge_of_calibration`.
    """
    owners = reference_owners(model, rows)
    shuffled = shuffle_owners(owners, np.random.default_rng(model.train_settings.seed))
    by_block = calibration_rows_of_blocks(rows)
    return WithoutBlocks(
        own=_scores_without(model, owners, by_block),
        random=_scores_without(model, shuffled, by_block),
        numbers=np.concatenate([np.full(len(each), block) for block, each in by_block.items()]),
    )


def shuffle_owners(owners: Numbers, random: np.random.Generator) -> Numbers:
    """Return owners (m,) in another order; SEVERAL keeps its places."""
    shuffled, single = owners.copy(), owners != SEVERAL
    shuffled[single] = random.permutation(owners[single])
    return shuffled


def _scores_without(model: Autoencoder, owners: Numbers, by_block: dict[int, Rows]) -> list[Vector]:
    found = [
        without_reference(model, owners == block).scores(of_block)
        for block, of_block in by_block.items()
    ]
    return [np.concatenate(kind) for kind in zip(*found, strict=True)]


def calibration_rows_of_blocks(rows: FitRows) -> dict[int, Rows]:
    """Calibration rows of up to MOST_BLOCKS blocks, at most MOST_OF_BLOCK each."""
    count = len(rows.blocks.names) if rows.blocks else 0
    chosen = {*np.linspace(0, count - 1, min(count, MOST_BLOCKS)).astype(int).tolist()}
    found: dict[int, Rows] = {}
    for piece, numbers in rows.sides_with_blocks("calibration"):
        for block in chosen & {*numbers.tolist()}:
            more = [found[block]] if block in found else []
            found[block] = np.concatenate([*more, piece[numbers == block]])[:MOST_OF_BLOCK]
    return found


def reference_owners(model: Autoencoder, rows: FitRows) -> Numbers:
    """The only block that holds each reference row (m,); SEVERAL if there is no one."""
    hashes = row_hashes(model.measured.reference.rows)
    order = np.argsort(hashes)
    first, last = np.full(len(hashes), np.iinfo(np.intp).max), np.full(len(hashes), -1)
    sides = ("fit", *joined_sides(rows))
    for piece, numbers in chain.from_iterable(map(rows.sides_with_blocks, sides)):
        of_piece = row_hashes(piece)
        places = order[np.minimum(np.searchsorted(hashes[order], of_piece), len(order) - 1)]
        same = hashes[places] == of_piece
        np.minimum.at(first, places[same], numbers[same])
        np.maximum.at(last, places[same], numbers[same])
    return np.where(first == last, first, SEVERAL)


def without_reference(model: Autoencoder, left_out: NDArray[np.bool_]) -> Autoencoder:
    """Return the model without some of its reference rows (m,), unless hardly any were left."""
    if not left_out.any() or (~left_out).sum() < FEWEST_FIT_ROWS:
        return model
    reference = model.measured.reference
    kept = {name: getattr(reference, name)[~left_out] for name in ("rows", "copies", "held_out")}
    return with_reference(model, **kept)
