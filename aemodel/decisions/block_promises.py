"""What a rule promises about the rows of a new block (file, day) of clean rows.

Rows of one block may resemble each other. A share of all calibration rows then says little about
the rows of one more block.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aemodel.decisions.block_scores import FEWEST_BLOCKS, BlockScores, to_angles
from aemodel.decisions.clean_counts import LIMIT_QUANTILE, UNKNOWN, CleanCount
from aemodel.decisions.rules import Decision, Rule, allowed_above, withhold_promise

Scores = NDArray[np.float64]


def rest_on_blocks(
    decision: Decision, rule: Rule, calibration: Scores, blocks: BlockScores | None, *, rows: int
) -> Decision:
    """Return the decision about a night of `rows` rows with what it promises for a new block.

    calibration: (n,), ascending. blocks: None if the blocks of the clean rows are unknown.
    """
    if blocks is None or rule.kind == "top" or not len(calibration):
        return decision
    if blocks.held_out:
        return _rest_on_held_out(decision, rule, calibration, blocks, rows)
    if blocks.can_compare and blocks.differ(calibration):
        return _rest_on_fitted(decision, blocks.kind)
    return decision


def _rest_on_fitted(decision: Decision, kind: str) -> Decision:
    """Withhold what calibration rows from fitted blocks cannot promise for a new block."""
    why = (
        f"clean {kind} differ from each other by more than chance, and calibration rows are from "
        f'the same {kind} as fit rows; set train.split = "blocks" to hold out whole {kind}'
    )
    return _withhold(replace(decision, expected=UNKNOWN.expected, limit=UNKNOWN.limit), why)


def _rest_on_held_out(
    decision: Decision, rule: Rule, calibration: Scores, blocks: BlockScores, rows: int
) -> Decision:
    """Count by held-out blocks; promise something only where they do not differ."""
    shares = flagged_shares(rule, calibration, blocks.members)
    count = UNKNOWN if rule.kind == "fdr" else clean_in_block(shares, rows)
    changed = replace(decision, expected=count.expected, limit=count.limit)
    kind, rests_on = blocks.kind, _calibration_blocks(len(shares), blocks.kind)
    if len(blocks.rows) < FEWEST_BLOCKS:
        why = f"it would rest on {rests_on}, too few to tell how {kind} differ"
        return _withhold(changed, f"{why}{_spread(rule, shares)}")
    if blocks.differ(calibration):
        why = f"it would rest on {rests_on}, and clean {kind} differ by more than chance"
        return _withhold(changed, f"{why}{_spread(rule, shares)}")
    if not decision.promises:
        return changed
    found = f"This rests on {rests_on}; clean {kind} differ by no more than chance."
    return replace(changed, promise=f"{decision.promise} {found}")


def _calibration_blocks(count: int, kind: str) -> str:
    return f"1 of the {kind}" if count == 1 else f"{count:,} calibration {kind}"


def _withhold(decision: Decision, why: str) -> Decision:
    return withhold_promise(decision, why, when="") if decision.promises else decision


def _spread(rule: Rule, shares: Scores) -> str:
    """Say which shares of rows are flagged in blocks that are judged by the others."""
    if rule.kind == "fdr" or len(shares) < 2:
        return ""
    low, high = 100 * shares.min(), 100 * shares.max()
    return f"; with each judged by the others, {low:.2g} to {high:.2g} % of its rows are flagged"


def flagged_shares(rule: Rule, calibration: Scores, members: NDArray[np.int32]) -> Scores:
    """Share (c,) of each calibration block that the rule flags, calibrated on the other blocks.

    calibration: (n,), ascending. members: (n,), the block of each.
    """
    shares = []
    for block in np.unique(members):
        inside = members == block
        cut = _cut_of(rule, calibration[~inside])
        shares.append(float((calibration[inside] > cut).mean()))
    return np.array(shares)


def _cut_of(rule: Rule, calibration: Scores) -> float:
    """Score above which 'quantile', 'absolute' and 'mad' flag rows; infinity for other rules."""
    if rule.kind != "quantile":
        return rule.threshold(calibration)
    j = allowed_above(rule, len(calibration))
    return float(calibration[-j]) if j else float("inf")


def clean_in_block(shares: Scores, rows: int) -> CleanCount:
    """Count how many of `rows` rows of a new block are flagged, given the shares (c,) of others.

    The limit is that of a t test for one more angle, see `aemodel.decisions.block_scores`.
    """
    expected = rows * float(shares.mean())
    if len(shares) < FEWEST_BLOCKS or not rows:
        return CleanCount(expected, None)
    from scipy.special import stdtrit  # late: takes long to import

    angles, count = to_angles(shares), len(shares)
    spread = np.sqrt(angles.var(ddof=1) * (1 + 1 / count) + 1 / (4 * rows))
    highest = angles.mean() + stdtrit(count - 1, LIMIT_QUANTILE) * spread
    return CleanCount(expected, int(rows * np.sin(min(highest, np.pi / 2)) ** 2))
