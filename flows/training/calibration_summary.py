"""What the calibration rows of a model are worth, before any night.

Where the job's rule cuts, and what it promises.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aemodel.decisions.rules import decide_beforehand, parse_rule
from flows.jobs.settings import Job


def calibration_facts(job: Job, calibration: NDArray[np.float64]) -> dict[str, str]:
    """Names and values, as shown;

    `calibration` (n,): scores of the kind that rows are ranked by, ascending.
    """
    facts = {
        "calibration rows": f"{len(calibration):,}",
        "rule": job.score.rule,
        "flags above": flags_above(job, calibration),
    }
    if not len(calibration):
        return facts
    middle, high = np.median(calibration), calibration[-1]
    return {
        **facts,
        f"median {job.score.by}": f"{middle:.4g}",
        f"highest {job.score.by}": f"{high:.4g}",
        "smallest p-value": f"1 in {len(calibration) + 1:,}",
    }


def flags_above(job: Job, calibration: NDArray[np.float64]) -> str:
    """The score above which a night's rows are flagged, as far as calibration alone tells."""
    rule = parse_rule(job.score.rule)
    cut = decide_beforehand(rule, calibration, top_n=job.score.top_n).cut.score
    if np.isfinite(cut):
        return f"{cut:.4g}"
    return "nothing" if rule.kind == "quantile" else "what the night decides"


def rule_promise(job: Job, calibration: NDArray[np.float64]) -> str:
    """What the job's rule promises with these calibration scores (n,) ascending, or why it cannot, in words."""
    rule = parse_rule(job.score.rule)
    if rule.kind == "top":
        return f"The highest {job.score.top_n:,} rows of a night are flagged, whatever their scores, and nothing is promised."
    return decide_beforehand(rule, calibration, top_n=job.score.top_n).promise
