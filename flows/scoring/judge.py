"""One decision over all scored shards: which rows are flagged, drift, and the verdict."""

from __future__ import annotations

import numpy as np

from aemodel.decisions.contamination import contamination_warning
from aemodel.decisions.drift import Drift, find_drift
from aemodel.decisions.ranking import Tally
from aemodel.decisions.rules import Decision, decide, withhold_promise
from aemodel.decisions.verdict import Coverage, judge_night
from flows.scoring.night_run import Judged, NightRun
from flows.scoring.score_shards import ScoredShards, summary_path
from flows.scoring.shard_summary import Candidates, ShardSummary
from storage.nights.repeated_ids import find_repeated_ids
from storage.sources import Source


def judge_scored(run: NightRun, source: Source, scored: ScoredShards) -> Judged:
    """Judge a night from the merged summaries of its shards.

    Merging is exact, so the judgment depends neither on the shards nor on their order.
    """
    summary = merged_summary(run, scored)
    tally = summary.tally if summary else Tally.of(run.calibration, np.empty(0))
    drift = find_drift(run.calibration, tally)
    decision = decide_night(run, tally, summary, drift)
    verdict, others = judge_night(
        decision,
        Coverage(rows=tally.rows, shards_done=len(scored.notes), shards_total=scored.total),
        alert_budget=run.job.score.alert_budget,
        drifted=bool(drift and drift.alarm),
    )
    return Judged(
        verdict=verdict,
        decision=decision if summary else None,
        summary=summary,
        drift=drift,
        notes=(*others, *remarks(run, source), *repeated_ids(run, scored, tally.rows)),
        failed=tuple(scored.failed),
        shards=scored.total,
        digest=scored.digest,
        why="" if summary else scored.failed[0][1],
    )


def merged_summary(run: NightRun, scored: ScoredShards) -> ShardSummary | None:
    """Merge the summaries of all scored shards; None if no shard was scored."""
    merged: ShardSummary | None = None
    for note in scored.notes:
        summary = ShardSummary.load(summary_path(scored.parts, note.index), run.keep)
        merged = merged.merge(summary) if merged else summary
    return merged


def decide_night(
    run: NightRun, tally: Tally, summary: ShardSummary | None, drift: Drift | None
) -> Decision:
    """Apply the job's rule to the night; drift withholds the promise."""
    ranking = summary.best.ranking if summary else Candidates.none(run.keep).ranking
    settings = run.job.score
    decision = decide(settings.rule, run.calibration, tally, ranking, top_n=settings.top_n)
    if drift and drift.alarm:
        return withhold_promise(decision, drift.to_text())
    return decision


def remarks(run: NightRun, source: Source) -> tuple[str, ...]:
    """Notes for the report about columns, calibration rows, model and device."""
    unknown = () if run.job.data.columns else source.ignored_numbers
    columns = f"numeric columns unknown to the model, not read: {', '.join(unknown)}"
    notes = (columns if unknown else "", contamination_warning(run.calibration), *run.remarks)
    return tuple(note for note in notes if note)


def repeated_ids(run: NightRun, scored: ScoredShards, rows: int) -> tuple[str, ...]:
    """Note for the report that several rows have one id; empty if row numbers are the ids."""
    if not run.job.data.id or not rows:
        return ()
    found = find_repeated_ids(scored.parts, rows=rows, memory=run.job.score.memory)
    return (found.to_text(),) if found else ()
