"""What helps to judge the cut: the rows right below it, ordinary rows, p-values, and a map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.decisions.ranking import Tally
from aemodel.decisions.rules import Decision
from aemodel.explain.latent_map import map_of_rows
from flows.scoring.evidence.rows import ScoredNight, explain_rows
from flows.scoring.night_run import NightRun
from flows.scoring.shards.summary import ShardSummary
from storage.nights.night import IN_SAMPLE, CutRow, NightMap
from storage.nights.scores import read_listed

MOST_SHOWN = 10  # of the rows right below the cut, and of ordinary ones
P_BINS = 20


@dataclass(frozen=True)
class CutRows:
    """Rows that are not flagged: those right below the cut, and some drawn at random."""

    below: tuple[CutRow, ...]
    ordinary: tuple[CutRow, ...]


def rows_near_cut(
    run: NightRun, summary: ShardSummary, decision: Decision, night: ScoredNight
) -> CutRows:
    """Explain rows on the near side of the cut, as far as they are kept in detail."""
    first, best = decision.flagged, summary.best
    below = slice(first, first + MOST_SHOWN)
    drawn = summary.drawn
    others = ~np.isin(drawn.rows, best.rows[: first + MOST_SHOWN])
    if first >= len(best.rows):  # more rows are flagged than are kept
        others &= False
    rows = np.concatenate([best.rows[below], drawn.rows[others][:MOST_SHOWN]])
    values = [best.values[below], drawn.values[others][:MOST_SHOWN]]
    if not len(rows):
        return CutRows((), ())
    known = [each for each in values if len(each)]
    found = _explained(run, rows, np.concatenate(known), night)
    count = len(best.rows[below])
    return CutRows(tuple(found[:count]), tuple(found[count:]))


def _explained(
    run: NightRun, rows: NDArray[np.int64], values: NDArray[np.generic], night: ScoredNight
) -> list[CutRow]:
    by = run.job.score.by
    scored = {each["row"]: each for each in read_listed(night.scores, rows).to_pylist()}
    scores = np.array([scored[row][by] for row in rows.tolist()])
    if run.groups:
        scores = run.groups.judged(values, scores)
    evidence = explain_rows(run.model, rows, values, by=by, source=night.source)
    return [
        CutRow(
            {
                **scored[row],
                "id": str(scored[row]["id"]),
                "score": score,
                "file_row": night.source.locate(row)[1],
                "cause": evidence[row].cause,
            },
            evidence[row],
        )
        for row, score in zip(rows.tolist(), scores.tolist(), strict=True)
    ]


def shows_p_values(run: NightRun) -> bool:
    """Return whether p-values of all rows compare with one set of clean rows."""
    return run.place.date != IN_SAMPLE and not run.groups and len(run.calibration) > 0


def p_value_counts(tally: Tally) -> NDArray[np.float64]:
    """Count a night's rows by p-value, in P_BINS equal bins from 0 to 1.

    A row whose score k of n calibration scores reach counts evenly from k / (n + 1) to
    (k + 1) / (n + 1), so that clean rows fill all bins alike.
    """
    reached = np.concatenate([[0.0], np.cumsum(tally.by_rank)])
    ends = np.linspace(0, len(tally.by_rank), P_BINS + 1)
    return np.diff(np.interp(ends, np.arange(len(reached)), reached))


def night_map(run: NightRun, summary: ShardSummary, decision: Decision) -> NightMap | None:
    """Place flagged rows among clean ones.

    None where rows are judged by several models, or where the map would not tell them apart.
    """
    if run.place.date == IN_SAMPLE:
        return None
    kept = summary.best.rows[: decision.flagged]
    found = map_of_rows(run.model, summary.best.values[: len(kept)], by=run.job.score.by)
    if found is None:
        return None
    rows = kept[: len(found.others)].tolist()
    return NightMap(found.clean, found.others, rows, found.share, found.by_latents)
