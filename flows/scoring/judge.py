"""One decision over all scored shards: which rows are flagged, drift, and the verdict."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from aemodel.decisions.block_promises import rest_on_blocks
from aemodel.decisions.contamination import contamination_warning
from aemodel.decisions.drift import find_drift
from aemodel.decisions.entity_groups import rest_on_groups
from aemodel.decisions.ranking import Tally
from aemodel.decisions.rules import Decision, decide, withhold_promise
from aemodel.decisions.verdict import Coverage, judge_night
from aemodel.rows.hashes import SingleRows
from aemodel.scores.novelty import Reference
from aemodel.training.reference_rows import fewest_candidates
from flows.engine.shard_tasks import rows_per_chunk
from flows.jobs.workspace import open_workspace
from flows.scoring.evidence.rows import listed_evidence
from flows.scoring.known_normal import known_normal_rows
from flows.scoring.night_run import Judged, NightRun
from flows.scoring.shards.notes import summary_path
from flows.scoring.shards.scoring import ScoredShards
from flows.scoring.shards.summary import Candidates, ShardSummary
from flows.training.columns import imprecise_columns
from storage.nights.repeated_ids import find_repeated_ids
from storage.sources import RowsDigest, Source, combine_digests, find_levels

TRAINING_ROWS = (
    "these are the rows that the model was trained on, so their scores are lower than those of "
    "new rows; score other rows"
)
IN_SAMPLE = ", or score these with --in-sample, by models that were not fitted on them"
MOST_COMPARED = 20_000  # rows of a night, to tell whether some were trained on
PIECES = 20  # of the night, spread over it


def judge_scored(run: NightRun, source: Source, scored: ScoredShards) -> Judged:
    """Judge a night from the merged summaries of its shards.

    Merging is exact, so the judgment depends neither on the shards nor on their order.
    """
    summary = merged_summary(run, scored)
    tally = summary.tally if summary else Tally.of(run.calibration, np.empty(0))
    same = scored_training_rows(run, source, scored)
    overlap = TRAINING_ROWS + IN_SAMPLE if same else trained_on(run, source, scored)
    # of rows that were all trained on, the bulk is lower than that of the calibration rows
    drift = None if same else find_drift(run.calibration, tally, run.blocks)
    doubt = overlap or (drift.to_text() if drift and drift.alarm else "")
    decision = decide_night(run, tally, summary, doubt)
    evidence = listed_evidence(run, summary, decision, source) if summary else {}
    known = known_normal_rows(run, summary, decision, evidence) if summary else {}
    verdict, others = judge_night(
        decision,
        Coverage(
            rows=tally.rows,
            rows_unusable=scored.unusable,
            shards_done=len(scored.notes),
            shards_total=scored.total,
            files=scored.files,
            files_broken=scored.broken_files,
        ),
        alert_budget=run.job.score.alert_budget,
        drifted=bool(drift and drift.alarm),
        known=len(known),
    )
    return Judged(
        verdict=verdict,
        decision=decision if summary else None,
        summary=summary,
        drift=drift,
        notes=(*others, *_notes(run, source, scored, summary), *([overlap] if overlap else [])),
        failed=tuple(scored.failed),
        shards_done=len(scored.notes),
        shards=scored.total,
        digest=scored.digest,
        unscored=scored.unread + scored.unusable,
        broken_files=scored.broken_files,
        why="" if summary else scored.failed[0][1],
        known=known,
        evidence=evidence,
    )


def _notes(
    run: NightRun, source: Source, scored: ScoredShards, summary: ShardSummary | None
) -> tuple[str, ...]:
    rows = summary.tally.rows if summary else 0
    return (
        *remarks(run, source),
        *unknown_entities(run, source, summary),
        *repeated_ids(run, scored, rows),
    )


def merged_summary(run: NightRun, scored: ScoredShards) -> ShardSummary | None:
    """Merge the summaries of all scored shards; None if no shard was scored."""
    merged: ShardSummary | None = None
    for note in scored.notes:
        summary = ShardSummary.load(summary_path(scored.parts, note.index), run.keep)
        merged = merged.merge(summary) if merged else summary
    return merged


def trained_on(run: NightRun, source: Source, scored: ScoredShards) -> str:
    """Say that some of the night's rows were trained on; empty if none seem to be."""
    readable = not scored.failed and source.n_rows
    fitted = int(str(training_data(run).get("fit_rows", 0)))
    return training_rows_among(run.model.measured.reference, fitted, source) if readable else ""


def decide_night(run: NightRun, tally: Tally, summary: ShardSummary | None, doubt: str) -> Decision:
    """Apply the job's rule to the night; a doubt withholds the promise."""
    ranking = summary.best.ranking if summary else Candidates.none(run.keep).ranking
    settings = run.job.score
    decision = decide(settings.rule, run.calibration, tally, ranking, top_n=settings.top_n)
    decision = rest_on_groups(decision, run.groups, rows=tally.rows, above=tally.above)
    decision = rest_on_blocks(decision, settings.rule, run.calibration, run.blocks, rows=tally.rows)
    return withhold_promise(decision, doubt) if doubt else decision


def remarks(run: NightRun, source: Source) -> tuple[str, ...]:
    """Notes for the report about columns, calibration rows, model and device."""
    ignored = cast("Mapping[str, str]", run.model.facts.get("ignored", {}))
    new = (
        []
        if run.job.data.columns
        else [each for each in source.not_features if each not in ignored]
    )
    columns = f"columns unknown to the model, not read: {', '.join(new)}"
    lost = [f"{what}: {names}" for what, names in imprecise_columns(run.model.facts).items()]
    notes = (columns if new else "", *lost, contamination_warning(run.calibration), *run.remarks)
    return tuple(note for note in notes if note)


def unknown_entities(
    run: NightRun, source: Source, summary: ShardSummary | None
) -> tuple[str, ...]:
    """Note for the report about rows whose entity has no clean rows; empty if there are none."""
    entities = run.model.scaler.entities
    if entities is None or summary is None:
        return ()
    column = run.model.layout.columns[entities.column]
    wanted = {column: summary.unknown.largest().tolist()}
    names = find_levels(source, wanted)[column] if wanted[column] else {}
    text = summary.unknown.to_text(column, names)
    return (text,) if text else ()


def repeated_ids(run: NightRun, scored: ScoredShards, rows: int) -> tuple[str, ...]:
    """Note for the report that several rows have one id; empty if row numbers are the ids."""
    if not run.job.data.id or not rows:
        return ()
    found = find_repeated_ids(scored.parts, rows=rows, memory=run.job.score.memory)
    return (found.to_text(),) if found else ()


def scored_training_rows(run: NightRun, source: Source, scored: ScoredShards) -> bool:
    """Return whether the night's rows are exactly those that the model was trained on."""
    trained = training_data(run)
    parts = ("fit_rows", "validation_rows", "calibration_rows")
    if source.n_rows != sum(int(str(trained.get(part, 0))) for part in parts):
        return False
    if scored.total == 1 and run.model.series is None:  # else times are digested as well
        return scored.digest == combine_digests([str(trained["digest"])])
    return trained["digest"] == rows_digest(source, run.job.score.memory)


def training_rows_among(reference: Reference, fitted: int, source: Source) -> str:
    """Say that some of a night's rows were trained on; empty if none seem to be.

    A sample of them is compared with the clean rows that novelty compares with. Rows that also
    repeat within these tell nothing. fitted: number of fit rows.
    """
    kept = SingleRows.of(reference.rows, reference.copies, fewest_candidates(reference, fitted))
    seen, compared = np.empty(0, np.uint64), 0
    for rows in sampled_rows(source):
        seen = np.union1d(seen, kept.seen_in(rows))
        compared += len(rows)
    if not kept.beyond_chance(len(seen), compared):
        return ""
    return (
        f"{len(seen):,} of {compared:,} rows compared are among {len(kept.hashes):,} rows kept "
        "from training, so this night overlaps the rows that the model was trained on, and their "
        "scores are lower than those of new rows; score other rows, or leave these out of "
        "data.clean"
    )


def sampled_rows(source: Source) -> Iterator[NDArray[np.generic]]:
    """Yield up to MOST_COMPARED usable rows in pieces; the first if reading must be in order."""
    most = min(source.n_rows, MOST_COMPARED)
    pieces = 1 if source.sequential or most == source.n_rows else PIECES
    size = most // pieces
    for start in np.linspace(0, source.n_rows - size, pieces).astype(int).tolist():
        for chunk in source.chunks(start, start + size, max_rows=size):
            yield chunk.usable_part().rows


def training_data(run: NightRun) -> Mapping[str, object]:
    """Read what the model's bundle says about its clean rows; empty if it says nothing."""
    path = open_workspace(run.job).models / run.model_id / "model.json"
    found: Mapping[str, object] = json.loads(path.read_text(encoding="utf-8"))
    trained = found.get("training_data", {})
    return trained if isinstance(trained, Mapping) else {}


def rows_digest(source: Source, memory: int) -> str:
    """Digest all rows in one pass, as training does."""
    digest = RowsDigest()
    for chunk in source.chunks(max_rows=rows_per_chunk(source, memory)):
        digest.update(chunk.rows, chunk.ids)
    return digest.hexdigest()
