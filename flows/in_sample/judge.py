"""The judgment of an in-sample run: what is flagged, and why nothing is promised."""

from __future__ import annotations

from dataclasses import replace

from aemodel.decisions.contamination import contamination_warning, count_suspects
from aemodel.decisions.ranking import Tally
from aemodel.decisions.rules import Decision, Rule, decide
from aemodel.decisions.verdict import Coverage, judge_night
from aemodel.training.cross_fit import FOLDS
from flows.scoring.evidence.rows import listed_evidence
from flows.scoring.judge import merged_summary, remarks, repeated_ids
from flows.scoring.night_run import Judged, NightRun
from flows.scoring.shards.scoring import ScoredShards
from flows.scoring.shards.summary import Candidates
from storage.sources import Source


def judge_in_sample(run: NightRun, source: Source, scored: ScoredShards) -> Judged:
    """Judge all rows of the clean source by their out-of-fold scores."""
    summary = merged_summary(run, scored)
    none = Candidates.none(run.keep).ranking
    ranking = summary.best.ranking if summary else none
    tally = summary.tally if summary else Tally.of(run.calibration, none.scores)
    settings = run.job.score
    found = decide(settings.rule, run.calibration, tally, ranking, top_n=settings.top_n)
    decision = without_promise(found, settings.rule, tally.rows)
    coverage = Coverage(
        rows=tally.rows,
        rows_unusable=scored.unusable,
        shards_done=len(scored.notes),
        shards_total=scored.total,
    )
    verdict, others = judge_night(decision, coverage, alert_budget=settings.alert_budget)
    return Judged(
        verdict=verdict,
        decision=decision if summary else None,
        summary=summary,
        drift=None,
        notes=(*others, *_notes(run, source), *repeated_ids(run, scored, tally.rows)),
        failed=tuple(scored.failed),
        shards_done=len(scored.notes),
        shards=scored.total,
        digest=scored.digest,
        unscored=scored.unread + scored.unusable,
        broken_files=scored.broken_files,
        why="" if summary else scored.failed[0][1],
        evidence=listed_evidence(run, summary, decision, source) if summary else {},
    )


def without_promise(decision: Decision, rule: Rule, rows: int) -> Decision:
    """Return the decision with words that hold where no row is known to be clean."""
    ranked = (
        f"No guarantee: no clean rows are known. Each of {rows:,} rows is scored by a model that "
        f"was not fitted on it ({FOLDS} folds); a p-value is the row's rank among all of them."
    )
    return replace(
        decision, expected=None, limit=None, promises=False, promise=f"{ranked} {_meaning(rule)}"
    )


def _meaning(rule: Rule) -> str:
    if rule.kind == "quantile":
        share = float((1 - rule.value) * 100)
        return f"'{rule}' flags at most the highest {share:.10g} % of them, outliers or not."
    if rule.kind == "fdr":
        return f"'{rule}' flags nothing, because ranks are spread evenly; set score.rule = 'top'."
    if rule.kind == "top":
        return "'top' flags the highest rows, outliers or not."
    return f"'{rule}' flags rows by their score alone."


def _notes(run: NightRun, source: Source) -> tuple[str, ...]:
    """Notes on input and device, and on rows that stand apart by their scores."""
    apart = count_suspects(run.calibration)
    rows = "1 row scores" if apart == 1 else f"{apart:,} rows score"
    found = (f"{rows} far above all others",) if apart else ()
    warning = contamination_warning(run.calibration)
    return (*found, *(note for note in remarks(run, source) if note != warning))
