"""The one word for a night."""

from __future__ import annotations

from aemodel.decisions.rules import Decision


def judge_night(
    decision: Decision,
    *,
    rows: int,
    alert_budget: int,
    shards_done: int,
    shards_total: int,
    drifted: bool = False,
) -> tuple[str, tuple[str, ...]]:
    """The first verdict that holds, and the others as notes."""
    held = []
    if shards_total and not shards_done:
        held.append("FAILED")
    if not rows and shards_done == shards_total:
        held.append("NO DATA")
    if 0 < shards_done < shards_total:
        held.append(f"PARTIAL {shards_done} of {shards_total}")
    if drifted:
        held.append("DRIFT")
    if decision.flagged > alert_budget:
        held.append("FLOOD")
    if decision.limit is not None and decision.flagged > decision.limit:
        held.append(f"REVIEW {decision.flagged}")
    held.append("OK")
    return held[0], tuple(held[1:-1])
