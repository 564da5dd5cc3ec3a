"""From a judged night to its two folders, `scores` and `report`, ready to be published."""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from aemodel.decisions.ranking import Tally, picture_edges
from aemodel.decisions.rules import Decision
from aemodel.rows.layout import is_signal
from flows.scoring.evidence.checks import (
    column_checks,
    drift_figures,
    input_checks,
    missing_share,
    repeated_rows,
)
from flows.scoring.evidence.cut import night_map, p_value_counts, rows_near_cut, shows_p_values
from flows.scoring.evidence.rows import (
    MOST_GROUPED,
    ScoredNight,
    content_of_rows,
    count_novel_rows,
    kinds_of_flagged,
    listed_rows,
    novel_rows,
)
from flows.scoring.known_normal import known_notes, label_words
from flows.scoring.night_run import Judged, NightRun
from flows.scoring.shards.summary import ShardSummary
from storage.files.atomic import write_json
from storage.files.manifest import read_manifest, write_manifest
from storage.nights.changes import Changes, compare_scores
from storage.nights.night import Night
from storage.nights.report import write_report
from storage.nights.revisions import NIGHT, mark_ready
from storage.nights.scores import no_pick, pick_scores, score_quantiles
from storage.sources import Source

FORMAT_VERSION = 1


@dataclass(frozen=True)
class NightDraft:
    """A revision under construction.

    source: the input, None if it could not be opened. parts: folder with the shards' scores.
    fingerprint: of the input.
    """

    run: NightRun
    judged: Judged
    source: Source | None
    parts: Path | None
    fingerprint: str

    @property
    def folder(self) -> Path:
        """Folder where the revision is built."""
        return self.run.work / NIGHT

    @property
    def scores(self) -> Path:
        """Folder with the night's scores."""
        return self.folder / "scores"

    @property
    def scored(self) -> ScoredNight:
        """Where rows are looked up, for a night with scores."""
        assert self.source is not None, "rows were scored, so the input was open"
        return ScoredNight(self.source, self.scores)

    @property
    def report(self) -> Path:
        """Folder with the night's report."""
        return self.folder / "report"

    @cached_property
    def revision(self) -> int:
        """Number of the new revision."""
        return self.run.place.newest() + 1

    @property
    def key(self) -> dict[str, object]:
        """Identify the revision in a manifest."""
        return {
            "job": self.run.job.name,
            "date": self.run.place.date,
            "revision": self.revision,
        }


def build_night(draft: NightDraft) -> None:
    """Build `scores` and `report` in the draft's folder and mark them as ready.

    Replaces what an interrupted run left there. Shards are hard-linked, not copied, so that a
    PARTIAL night keeps its finished shards.
    """
    shutil.rmtree(draft.folder, ignore_errors=True)
    draft.report.mkdir(parents=True)
    night = night_without_scores(draft)
    picked = no_pick()
    decision, summary = draft.judged.decision, draft.judged.summary
    if draft.parts is not None and decision is not None and summary is not None:
        link_parts(draft.parts, draft.scores)
        picked = pick_rows(draft, decision, summary)
        write_scores_folder(draft, decision, rows=summary.tally.rows)
        night = with_scores(night, draft, decision, summary, picked)
    write_report(draft.report, night, picked)
    write_manifest(draft.report, "report", draft.key)
    write_run_record(draft)
    mark_ready(draft.folder, draft.revision)


def link_parts(parts: Path, scores: Path) -> None:
    """Put the shards' scores into the new folder `scores`."""
    scores.mkdir()
    for part in sorted(parts.glob("part-*.parquet")):
        link_or_copy(part, scores / part.name)


def link_or_copy(source: Path, target: Path) -> None:
    """Hard-link a file, or copy it if the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def pick_rows(draft: NightDraft, decision: Decision, summary: ShardSummary) -> pa.Table:
    """Read the scores of the listed rows, best first, and number them within their files."""
    listed = listed_rows(draft.run, summary, decision)
    scores = summary.best.scores[: len(listed)]
    picked = pick_scores(draft.scores, listed, scores, decision.cut)
    file_rows = draft.scored.file_rows(picked.column("row").to_pylist())
    return picked.append_column("file_row", pa.array(file_rows, pa.int64()))


def unlisted_note(run: NightRun, decision: Decision, picked: pa.Table) -> tuple[str, ...]:
    """Say that the lists hold only the highest of the flagged rows; empty if they hold all."""
    if decision.flagged <= picked.num_rows:
        return ()
    return (
        f"the lists hold the {picked.num_rows:,} highest of {decision.flagged:,} flagged rows "
        f"(score.alert_budget = {run.job.score.alert_budget}); the scores hold all rows",
    )


def write_scores_folder(draft: NightDraft, decision: Decision, *, rows: int) -> None:
    """Write decision.json and the manifest next to the scores."""
    run, cut = draft.run, decision.cut
    record = {
        "format_version": FORMAT_VERSION,
        **asdict(decision),
        "cut": {"score": cut.score if np.isfinite(cut.score) else None, "row": cut.row},
        "verdict": draft.judged.verdict,
        "model_id": run.model_id,
        "settings_digest": run.settings_digest,
    }
    write_json(draft.scores / "decision.json", record)
    content = {
        "model_id": run.model_id,
        "input_digest": draft.judged.digest,
        "rows": rows,
    }
    write_manifest(draft.scores, "scores", {**draft.key, **content})


def write_run_record(draft: NightDraft) -> None:
    """Write run.json, which no digest covers."""
    run = draft.run
    record = run.record.finish(
        command="score",
        fingerprint=draft.fingerprint,
        source=str(run.path),
        rerun=f"cd {shlex.quote(str(run.job.folder))} && {run.command}",
        device=run.model.device,
    )
    write_json(draft.report / "run.json", record)


def night_without_scores(draft: NightDraft) -> Night:
    """Report of a night without scored rows: verdict, reason, input and model."""
    run, judged = draft.run, draft.judged
    calibration = run.calibration
    ranked = run.groups.judged_calibration if run.groups else calibration
    return Night(
        job=run.job.name,
        date=run.place.date,
        revision=draft.revision,
        verdict=judged.verdict,
        notes=judged.notes,
        rows=0,
        flagged=0,
        expected=None,
        limit=None,
        rule=run.job.score.rule.text,
        promise=judged.why,
        promises=False,
        cut_score=None,
        calibration_rows=len(calibration),
        model_id=run.model_id,
        input_digest=judged.digest,
        settings_digest=run.settings_digest,
        alert_budget=run.job.score.alert_budget,
        shards_done=judged.shards_done,
        shards_total=judged.shards,
        failed=judged.failed,
        unscored=judged.unscored,
        broken_files=judged.broken_files,
        edges=picture_edges(calibration),
        calibration_counts=Tally.of(calibration, calibration, judged=ranked).picture,
        score_name=run.job.score.by,
        by_group=run.groups is not None,
        top_n=run.job.score.top_n,
        pictures=not is_signal(run.model.layout.row_shape),
        waves=run.model.layout.by_region,
        zone=str(run.job.zone),
        owner=run.job.report.owner,
        checks=input_checks(run, draft.source),
        command=run.command,
        made_with=run.made_with,
        earlier=run.place.nights_before(),
    )


def with_scores(
    night: Night, draft: NightDraft, decision: Decision, summary: ShardSummary, picked: pa.Table
) -> Night:
    """Add decision, counts, evidence, drift and changes to the report."""
    run, sought = draft.run, "novelty" in draft.run.job.score.computed
    novel = novel_rows(run, summary, decision, draft.scored)
    evidence = draft.judged.evidence
    near = rows_near_cut(run, summary, decision, draft.scored)
    flagged = picked.filter(picked.column("flagged")).column("row").to_pylist()
    kinds = kinds_of_flagged(run.model, flagged, evidence)
    known = draft.judged.known
    p50, p99 = score_quantiles(draft.scores, run.job.score.by, (0.5, 0.99))
    return replace(
        night,
        notes=(*night.notes, *known_notes(kinds, known), *unlisted_note(run, decision, picked)),
        known={row: label_words(label) for row, label in known.items()},
        known_normal=len(known),
        kinds=kinds,
        content=content_of_rows(summary.best.rows, summary.best.values, evidence),
        rows=summary.tally.rows,
        missing=missing_share(run.model, summary.features),
        p50=p50,
        p99=p99,
        flagged=decision.flagged,
        expected=decision.expected,
        limit=decision.limit,
        rule=decision.rule,
        promise=decision.promise,
        promises=decision.promises and not draft.judged.failed,
        cut_score=decision.cut.score,
        counts=summary.tally.picture,
        evidence=evidence,
        below=near.below,
        ordinary=near.ordinary,
        p_counts=p_value_counts(summary.tally) if shows_p_values(run) else np.empty(0),
        map=night_map(run, summary, decision),
        groups=tuple(kind for kind in kinds if len(kind.rows) > 1),
        grouped=min(len(flagged), MOST_GROUPED),
        novel_rows=novel,
        novel_rows_total=count_novel_rows(run, decision, novel, draft.scores) if sought else None,
        drift=drift_figures(run, draft.judged, summary),
        columns=column_checks(run.model, summary.features),
        checks=night.checks | repeated_rows(run.model, summary.repeated),
        changes=changes_since_newest(run, draft.scores, picked),
    )


def changes_since_newest(run: NightRun, scores: Path, picked: pa.Table) -> Changes | None:
    """Compare with the newest published revision that has scores; None if there is none."""
    if not run.place.scores.exists():
        return None
    older = read_manifest(run.place.scores, "scores")["revision"]
    flagged = picked.filter(picked.column("flagged")).column("id")
    within_budget = flagged.slice(0, run.job.score.alert_budget).to_pylist()
    return compare_scores(
        run.place.scores,
        scores,
        since=older,
        old_flagged=set(run.place.summary(older).flagged_ids),
        new_flagged=set(map(str, within_budget)),
    )
