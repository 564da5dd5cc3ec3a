"""Score the calibration rows, and measure how scores differ between blocks (files, days)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aemodel.decisions.block_scores import (
    FEWEST_BLOCKS,
    LEVELS,
    Compared,
    MeasuredBlocks,
    compare_blocks,
)
from aemodel.explain.evidence import evidence
from aemodel.measured import Measured, Rows, Vector
from aemodel.model import Autoencoder
from aemodel.rows.training_rows import FitRows
from aemodel.settings import SCORES
from aemodel.training.block_novelty import scores_without_own_block
from aemodel.training.reference_rows import judge_of_calibration

MOST_ROWS = 50_000  # validation rows that are scored for their blocks

Numbers = NDArray[np.intp]


def calibrate(model: Autoencoder, rows: FitRows) -> Measured:
    """Add the scores and the evidence of all calibration rows, each ascending.

    They are empty if train.calibration is 0.
    """
    if not rows.n_calibration:
        return replace(model.measured, blocks=_uncompared_blocks(rows))
    judge = judge_of_calibration(model, rows)
    found, numbers, places = [], [], []
    for piece, blocks in rows.sides_with_blocks("calibration"):
        found.append(_scores_and_evidence(judge, piece))
        numbers.append(blocks)
        if model.scaler.entities is not None:
            places.append(model.scaler.entities.places(piece))
    by_kind = [np.concatenate(kind) for kind in zip(*found, strict=True)]
    errors, novelties, relatives, *sides = map(np.sort, by_kind)
    return replace(
        model.measured,
        calibration=errors,
        novelty_calibration=novelties,
        relative_calibration=relatives,
        evidence=np.stack(sides),
        blocks=_measure_blocks(judge, rows, by_kind[: len(SCORES)], np.concatenate(numbers)),
        entities=_in_order(by_kind[: len(SCORES)], np.concatenate([np.empty(0, np.intp), *places])),
    )


def _scores_and_evidence(model: Autoencoder, rows: Rows) -> tuple[Vector, ...]:
    scaled = model.scale(rows)
    scores, latents = model.score_scaled(scaled)
    return *scores, *evidence(model, scaled, latents, scores[SCORES.index("error")])


def _measure_blocks(
    model: Autoencoder, rows: FitRows, scores: Sequence[Vector], numbers: Numbers
) -> MeasuredBlocks | None:
    """Compare blocks by their calibration rows; held-out blocks also by their validation rows.

    Other blocks as if none of their own rows had been fitted, as far as that is possible.

    scores: of the calibration rows (n,), by each of SCORES, in source order. numbers: (n,), their
    blocks. None if no blocks are known, or too few.
    """
    fewest = 2 if rows.block_split else FEWEST_BLOCKS
    if rows.blocks is None or len(rows.blocks.names) < fewest:
        return None
    if rows.block_split:
        found = _compare_held_out(model, rows, scores, numbers)
    else:
        found = _compare_fitted(model, rows, scores)
    return MeasuredBlocks(
        cuts=_cuts(rows),
        rows=found[0][0],
        shares=np.stack([shares for _, shares, _ in found]),
        quantiles=np.stack([quantiles for _, _, quantiles in found]),
        members=_in_order(scores, numbers if rows.block_split else numbers[:0]),
    )


def _compare_held_out(
    model: Autoencoder, rows: FitRows, scores: Sequence[Vector], numbers: Numbers
) -> list[Compared]:
    others, of_others = _validation_scores(model, rows)
    theirs = np.concatenate([numbers, of_others])
    return [
        compare_blocks(np.sort(each), np.concatenate([each, other]), theirs)
        for each, other in zip(scores, others, strict=True)
    ]


def _compare_fitted(model: Autoencoder, rows: FitRows, scores: Sequence[Vector]) -> list[Compared]:
    without = scores_without_own_block(model, rows)
    return [
        compare_blocks(np.sort(each), own, without.numbers, usual=random)
        for each, own, random in zip(scores, without.own, without.random, strict=True)
    ]


def _uncompared_blocks(rows: FitRows) -> MeasuredBlocks | None:
    """Without calibration rows, only the split of the blocks is kept."""
    if rows.block_split is None:
        return None
    return MeasuredBlocks(
        cuts=_cuts(rows),
        rows=np.empty(0, np.int64),
        shares=np.empty((len(SCORES), 0, len(LEVELS))),
        quantiles=np.empty((len(SCORES), 0, len(LEVELS))),
        members=np.empty((len(SCORES), 0), np.int32),
    )


def _cuts(rows: FitRows) -> Vector:
    return rows.block_split.cuts if rows.block_split else np.empty(0)


def _in_order(scores: Sequence[Vector], numbers: Numbers) -> NDArray[np.int32]:
    """Return the number of each calibration row in the order of each score; none without any."""
    if not len(numbers):
        return np.empty((len(scores), 0), np.int32)
    return np.stack([numbers[np.argsort(each)] for each in scores]).astype(np.int32)


def _validation_scores(model: Autoencoder, rows: FitRows) -> tuple[list[Vector], Numbers]:
    """Scores of validation rows, evenly spaced over the source, by each of SCORES; their blocks."""
    step = max(1, -(-rows.n_validation // MOST_ROWS))
    found, numbers = [], []
    for piece, of_piece in rows.sides_with_blocks("validation"):
        found.append(model.scores(piece[::step]))
        numbers.append(of_piece[::step])
    return [np.concatenate(kind) for kind in zip(*found, strict=True)], np.concatenate(numbers)
