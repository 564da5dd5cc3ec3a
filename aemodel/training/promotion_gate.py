"""The promotion gate decides whether a trained model replaces the champion.

It needs no labels, and compares the models on rows that neither was fitted on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.measured import Rows
from aemodel.model import Autoencoder
from aemodel.rows.blocks import BlockSplit, CleanBlocks
from aemodel.rows.sampling import SampledRows
from aemodel.rows.splits import hasher_for, sides_of
from aemodel.training.gate_checks import (
    Check,
    check_error,
    check_latents,
    check_planted,
    check_shift,
    check_tails,
    find_gaps,
)
from aemodel.training.reference_rows import judge_of_changed_validation, judge_of_validation
from aemodel.training.result import Trained

BETTER_BY = 0.02  # share of the column means' error that may be chance
MOST_BYTES = 32_000_000  # of sampled rows, as float64 where they are compared
FEWEST_ROWS = 10


@dataclass(frozen=True)
class GateVerdict:
    """Whether to promote and why, with the checks behind it and all their figures."""

    promote: bool
    reasons: tuple[str, ...]
    figures: dict[str, float]
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class GateSample:
    """Unbiased samples of a challenger's clean rows (n, *row_shape).

    unseen: rows that neither model was fitted on. presumed_clean: all except its calibration rows.
    """

    unseen: Rows
    presumed_clean: Rows


def judge_challenger(
    trained: Trained,
    champion: Autoencoder | None,
    read_chunks: Callable[[], Iterable[Rows]],
    *,
    by: str = "error",
    blocks: CleanBlocks | None = None,
) -> GateVerdict:
    """Compare a trained model with the champion, or with the column means if there is none.

    A champion for another layout of rows does not count. `by` names the one of SCORES that must
    detect planted anomalies. blocks: those of the clean rows, if known.
    """
    if champion is None:
        return compare_to_column_means(trained)
    if champion.layout != trained.model.layout:
        return compare_to_column_means(trained, "the first model for rows of this layout")
    rows = sample_clean_rows(trained.model, champion, read_chunks, blocks)
    if len(rows.unseen) < FEWEST_ROWS:
        why = (
            f"only {len(rows.unseen)} rows that neither model was fitted on, {FEWEST_ROWS} are "
            "needed; raise train.validation, or run 'nightglass models promote'"
        )
        return GateVerdict(False, (why,), {})
    return compare_to_champion(trained, champion, rows, by=by)


def compare_to_column_means(trained: Trained, name: str = "the first model") -> GateVerdict:
    """Require a first model to be better than one that only knows the column means."""
    error, of_means = trained.validation_error, trained.column_mean_error
    figures = {"validation_error": error, "column_mean_error": of_means}
    numbers = f"validation error {error:.4g}; {of_means:.4g} for the column means"
    if error < (1 - BETTER_BY) * of_means:
        why = f"{name}, better than the column means ({numbers})"
        return GateVerdict(True, (why,), figures)
    why = f"no better than the column means ({numbers}); train longer, or with more latents"
    return GateVerdict(False, (why,), figures)


def compare_to_champion(
    trained: Trained, champion: Autoencoder, rows: GateSample, *, by: str
) -> GateVerdict:
    """Refuse a significantly worse challenger, or one whose clean rows look anomalous.

    Rows look anomalous if the champion scores them unlike its own calibration rows.
    """
    error = check_error(trained.model, champion, rows.unseen)
    if not error.figures:  # no row can be compared, by any check
        return GateVerdict(False, (error.failure,), {}, (error,))
    challenger, other = map(judge_of_changed_validation, (trained.model, champion))
    checks = [
        error,
        check_planted(challenger, other, rows.unseen, by=by),
        check_latents(trained, champion, rows.unseen),
    ]
    if len(champion.calibration):
        judge = judge_of_validation(champion)
        checks.append(check_tails(judge, rows.presumed_clean))
        checks.append(check_shift(judge, rows.unseen))
    failures = tuple(check.failure for check in checks if not check.passed)
    figures = {name: value for check in checks for name, value in check.figures.items()}
    if failures:
        return GateVerdict(False, failures, figures, tuple(checks))
    found = "; ".join(f"{check.what} {check.found}" for check in checks[:2])
    why = f"not worse than the champion: {found}"
    return GateVerdict(True, (why,), figures, tuple(checks))


def sample_clean_rows(
    challenger: Autoencoder,
    champion: Autoencoder,
    read_chunks: Callable[[], Iterable[Rows]],
    blocks: CleanBlocks | None = None,
) -> GateSample:
    """Sample the challenger's clean rows in one pass, except its calibration rows."""
    layout, settings = challenger.layout, challenger.train_settings
    low, high = settings.calibration, settings.calibration + settings.validation
    compared_bytes = MOST_BYTES * np.dtype(layout.dtype).itemsize // 8
    unseen = SampledRows(layout, compared_bytes, low=low, high=high)
    presumed_clean = SampledRows(layout, MOST_BYTES, low=low)
    hasher = hasher_for(settings, block_split_of(challenger, blocks))
    same_split = settings.split == champion.train_settings.split != "blocks"
    same_blocks = settings.blocks == champion.train_settings.blocks
    champions_fit = _fit_rows_of(champion, blocks if same_blocks else None)
    for chunk in read_chunks():
        hashes = hasher(chunk)
        sides = sides_of(hashes, settings)
        known = ~find_gaps(chunk).all(axis=1)  # rows with any value
        in_fit = (
            sides_of(hashes, champion.train_settings).fit if same_split else champions_fit(chunk)
        )
        new = sides.validation & ~in_fit & known
        unseen.add(chunk[new], hashes[new])
        usable = ~sides.calibration & known
        presumed_clean.add(chunk[usable], hashes[usable])
    return GateSample(unseen.rows, presumed_clean.rows)


def _fit_rows_of(
    champion: Autoencoder, blocks: CleanBlocks | None
) -> Callable[[Rows], NDArray[np.bool_]]:
    """Mark the rows (n,) of the next chunk of a pass that the champion was fitted on."""
    settings, split = champion.train_settings, block_split_of(champion, blocks)
    if settings.split == "blocks" and split is None:  # nobody can tell: any row may be one
        return lambda chunk: np.ones(len(chunk), np.bool_)
    hasher = hasher_for(settings, split)
    return lambda chunk: sides_of(hasher(chunk), settings).fit


def block_split_of(model: Autoencoder, blocks: CleanBlocks | None) -> BlockSplit | None:
    """Return how a model splits blocks; None if it splits rows, or blocks are unknown."""
    measured = model.measured.blocks
    if blocks is None or measured is None or model.train_settings.split != "blocks":
        return None
    if model.facts.get("blocks") != blocks.kind:
        return None
    return BlockSplit(blocks, measured.cuts)
