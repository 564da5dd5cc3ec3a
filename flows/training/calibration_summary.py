"""What calibration says before any night: where the job's rule cuts, and what it promises."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aemodel.decisions.block_promises import rest_on_blocks
from aemodel.decisions.block_scores import BlockScores
from aemodel.decisions.entity_groups import EntityGroups, rest_on_groups
from aemodel.decisions.rules import decide_beforehand
from aemodel.series.events.decision import cut_of_rule
from aemodel.series.model import SeriesModel
from flows.jobs.settings import Job


def calibration_facts(
    job: Job, calibration: NDArray[np.float64], groups: EntityGroups | None = None
) -> dict[str, str]:
    """Names and values as displayed.

    calibration: (n,) scores of the kind that ranks rows, ascending. groups: of entities, if any
    are judged by their own calibration rows.
    """
    facts = {
        "calibration rows": f"{len(calibration):,}",
        "rule": job.score.rule.text,
        "flags above": flags_above(job, calibration),
    }
    if not len(calibration):
        return facts
    middle, high = np.median(calibration), calibration[-1]
    return {
        **facts,
        "median score": f"{middle:.4g}",
        "highest score": f"{high:.4g}",
        "smallest p-value": f"1 in {len(calibration) + 1:,}",
        **(_group_facts(groups) if groups else {}),
    }


def _group_facts(groups: EntityGroups) -> dict[str, str]:
    sizes = [len(part) + 1 for part in groups.calibrations[:-1]]
    return {
        "flags above": f"{groups.cuts[:-1].min():.4g} to {groups.cuts[:-1].max():.4g}, by group",
        "smallest p-value": f"1 in {min(sizes):,} to 1 in {max(sizes):,}, by group",
    }


def series_calibration_facts(job: Job, model: SeriesModel) -> dict[str, str]:
    """Names and values as displayed, of a job with [series]."""
    calibration, rule = model.calibration, job.score.rule
    cut = cut_of_rule(rule, model, at_once=model.at_once).score
    return {
        "window": f"{model.scorer.window:,} rows, one every {model.scorer.stride:,}",
        "baseline": str(model.settings.baseline),
        "clean stretches": f"{len(calibration.highest):,} of {calibration.stretch:,.0f} rows",
        "rule": rule.text,
        "events peak above": f"{cut:.4g}" if np.isfinite(cut) else "nothing",
        "median of stretches": f"{calibration.ordinary:.4g}",
    }


def flags_above(job: Job, calibration: NDArray[np.float64]) -> str:
    """The score above which rows of a night are flagged, if calibration alone decides it.

    calibration: (n,) scores, ascending.
    """
    rule = job.score.rule
    cut = decide_beforehand(rule, calibration, top_n=job.score.top_n).cut.score
    if np.isfinite(cut):
        return f"{cut:.4g}"
    return "nothing" if rule.kind == "quantile" else "what the night decides"


def rule_promise(
    job: Job,
    calibration: NDArray[np.float64],
    blocks: BlockScores | None = None,
    groups: EntityGroups | None = None,
) -> str:
    """What the job's rule promises with these calibration scores, or why it promises nothing.

    calibration: (n,) scores, ascending. blocks: of the clean rows, if known. groups: of entities.
    """
    score = job.score
    if score.rule.kind == "top":
        return (
            f"The highest {score.top_n:,} rows of a night are flagged, whatever their scores; "
            "this rule carries no guarantee."
        )
    decision = decide_beforehand(score.rule, calibration, top_n=score.top_n)
    decision = rest_on_groups(decision, groups, rows=0, above=0)
    return rest_on_blocks(decision, score.rule, calibration, blocks, rows=0).promise
