"""Why rows stand out: the evidence behind flagged rows, and the novel rows the ranking misses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aemodel.decisions.rules import Cut, Decision
from aemodel.explain.attribution import explain
from aemodel.explain.evidence import SIDES, evidence_p_values
from aemodel.settings import SCORES
from flows.scoring.night_run import NightRun
from flows.scoring.shard_summary import MOST_NOVEL, Candidates, ShardSummary
from storage.nights.night import Evidence, NovelRow
from storage.nights.scores import count_novel


def listed_evidence(
    run: NightRun, summary: ShardSummary, decision: Decision
) -> Mapping[int, Evidence]:
    """Explain the rows kept in detail that are flagged or among the top N, by row number."""
    best = summary.best
    if not len(best.rows):
        return {}
    shown = min(run.job.score.top_n, len(best.rows))
    flagged = int(decision.cut.flags(best.scores, best.rows).sum())
    count = max(shown, flagged)
    return explain_rows(run, best.rows[:count], best.values[:count])


def explain_rows(
    run: NightRun, rows: NDArray[np.int64], values: NDArray[np.generic]
) -> dict[int, Evidence]:
    """Explain `values` (n, *row_shape), by row number."""
    expected = run.model.reconstruct(values)
    causes = explain(run.model, values)
    sides = evidence_p_values(run.model, values)
    found = {}
    for index, row in enumerate(rows):
        chances = {} if sides is None else dict(zip(SIDES, sides[:, index].tolist(), strict=True))
        features = [asdict(feature) for feature in causes[index].features]
        found[int(row)] = Evidence(
            causes[index].words, features, values[index], expected[index], chances
        )
    return found


def novel_rows(run: NightRun, summary: ShardSummary, decision: Decision) -> Sequence[NovelRow]:
    """List rows that are more novel than any calibration row but not flagged.

    At most MOST_NOVEL rows, the most novel first. Empty if rows are ranked by novelty.
    """
    clean = run.model.calibration_by("novelty")
    if run.job.score.by == "novelty" or not len(clean):
        return ()
    found = summary.novel
    scores = dict(zip(SCORES, run.model.scores(found.values), strict=True))
    flagged = decision.cut.flags(scores[run.job.score.by], found.rows)
    missed = (found.scores > clean[-1]) & ~flagged
    return _to_novel_rows(run, found, scores["error"], np.flatnonzero(missed))


def _to_novel_rows(
    run: NightRun, found: Candidates, errors: NDArray[np.float64], chosen: NDArray[np.intp]
) -> Sequence[NovelRow]:
    evidence = explain_rows(run, found.rows[chosen], found.values[chosen])
    return tuple(
        NovelRow(
            str(found.ids[index]),
            str(found.files[index]),
            int(found.rows[index]),
            float(found.scores[index]),
            float(errors[index]),
            evidence[int(found.rows[index])],
        )
        for index in chosen
    )


def count_novel_rows(
    run: NightRun, decision: Decision, listed: Sequence[NovelRow], scores: Path
) -> int:
    """Count all rows that `novel_rows` would list without its limit.

    scores: folder with the night's scores. Rows that score above all calibration rows are not
    counted: they lead the ranking, flagged or not.
    """
    if len(listed) < MOST_NOVEL:
        return len(listed)
    highest = Cut(float(run.calibration[-1]), -1)
    cut = min(decision.cut, highest)
    most_novel = float(run.model.calibration_by("novelty")[-1])
    return count_novel(scores, most_novel, run.job.score.by, *cut)
