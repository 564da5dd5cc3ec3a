"""From a judged night to its two folders, scores and report, ready to be published."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from aemodel.decisions.ranking import Tally, picture_edges
from aemodel.decisions.rules import Cut
from aemodel.explain.attribution import explain, feature_name
from aemodel.explain.evidence import SIDES, evidence_p_values
from aemodel.settings import SCORES
from flows.scoring.night_run import Judged
from flows.scoring.shard_summary import MOST_STRANGE
from storage.files.atomic import write_json
from storage.files.manifest import read_manifest, write_manifest
from storage.nights.changes import Changes, compare_scores
from storage.nights.report import Evidence, Night, Strange, write_report
from storage.nights.revisions import mark_ready
from storage.nights.scores import count_novel, no_pick, pick_scores
from storage.sources import Source
from storage.units import format_bytes

if TYPE_CHECKING:
    from flows.scoring.night_run import NightRun

FORMAT_VERSION = 1


def build_night(
    run: NightRun, judged: Judged, source: Source | None, parts: Path | None, *, fingerprint: str
) -> None:
    """Build `scores` and `report` in the night's work folder and mark them as ready.

    What an earlier run left half built is built anew; finished shards are linked, not copied, so
    that a PARTIAL night keeps them.
    """
    night = run.work / "night"
    shutil.rmtree(night, ignore_errors=True)
    scores, report = night / "scores", night / "report"
    report.mkdir(parents=True)
    revision = run.place.newest() + 1
    picked = no_pick()
    if parts is not None and judged.decision is not None and judged.facts is not None:
        scores.mkdir()
        for part in sorted(parts.glob("part-*.parquet")):
            link_or_copy(part, scores / part.name)
        shown = judged.facts.best.rows[: run.job.score.top_n]
        picked = pick_scores(
            scores, run.job.score.by, judged.decision.cut.score, judged.decision.cut.row, shown
        )
        write_scores_folder(scores, run, judged, revision)
    page = describe(run, judged, source, revision, scores=scores, picked=picked)
    write_report(report, page, picked)
    write_manifest(
        report, "report", {"job": run.job.name, "date": run.place.date, "revision": revision}
    )
    facts = run.record.finish(
        command="score", fingerprint=fingerprint, source=str(run.path), device=run.model.device
    )
    write_json(report / "run.json", facts)
    mark_ready(night, revision)


def link_or_copy(source: Path, target: Path) -> None:
    """A second name for a file, or a copy where the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def write_scores_folder(folder: Path, run: NightRun, judged: Judged, revision: int) -> None:
    """decision.json and the manifest beside the parts."""
    assert judged.decision is not None
    decision = judged.decision
    cut = {
        "score": decision.cut.score if np.isfinite(decision.cut.score) else None,
        "row": decision.cut.row,
    }
    facts = {
        **asdict(decision),
        "cut": cut,
        "verdict": judged.verdict,
        "model_id": run.model_id,
        "settings_digest": run.settings_digest,
    }
    write_json(folder / "decision.json", {"format_version": FORMAT_VERSION, **facts})
    key = {
        "model_id": run.model_id,
        "input_digest": judged.digest,
        "rows": judged.facts.tally.rows if judged.facts else 0,
    }
    write_manifest(
        folder, "scores", {"job": run.job.name, "date": run.place.date, "revision": revision, **key}
    )


def describe(
    run: NightRun,
    judged: Judged,
    source: Source | None,
    revision: int,
    *,
    scores: Path,
    picked: pa.Table,
) -> Night:
    """Everything that the report says.

    `scores`: the folder with the night's scores, if there are any.
    """
    strange = strange_rows(run, judged)
    decision, tally, calibration = (
        judged.decision,
        judged.facts.tally if judged.facts else None,
        run.calibration,
    )
    return Night(
        job=run.job.name,
        date=run.place.date,
        revision=revision,
        verdict=judged.verdict,
        notes=judged.notes,
        rows=tally.rows if tally else 0,
        flagged=decision.flagged if decision else 0,
        expected=decision.expected if decision else None,
        limit=decision.limit if decision else None,
        rule=decision.rule if decision else run.job.score.rule.text,
        promise=decision.promise if decision else judged.why,
        promises=bool(decision and decision.promises and not judged.failed),
        cut_score=decision.cut.score if decision else None,
        calibration_rows=len(calibration),
        model_id=run.model_id,
        input_digest=judged.digest,
        settings_digest=run.settings_digest,
        alert_budget=run.job.score.alert_budget,
        shards_done=judged.shards - len(judged.failed),
        shards_total=judged.shards,
        failed=judged.failed,
        edges=picture_edges(calibration),
        counts=tally.picture if tally else np.empty(0, np.int64),
        calibration_counts=Tally.of(calibration, calibration).picture,
        score_name=run.job.score.by,
        evidence=evidence_of(run, judged),
        strange=strange,
        strange_in_all=count_strange(run, judged, scores)
        if len(strange) == MOST_STRANGE
        else len(strange),
        drift=drift_of(run, judged),
        shown=run.job.score.top_n,
        checks=checks_of(run, source),
        changes=changes_since(run, scores, picked) if scores.exists() else None,
        command=f"nightglass score {run.job.name}.toml --date {run.place.date} --model {run.model_id}",
    )


def evidence_of(run: NightRun, judged: Judged) -> Mapping[int, Evidence]:
    """Cause, features, p-values of three sides, input and reconstruction of the rows kept in detail that are flagged or among the top N."""
    if judged.facts is None or judged.decision is None or not len(judged.facts.best.rows):
        return {}
    best = judged.facts.best
    count = max(
        min(run.job.score.top_n, len(best.rows)),
        int(judged.decision.cut.flags(best.scores, best.rows).sum()),
    )
    return explained(run, best.rows[:count], best.values[:count])


def explained(
    run: NightRun, rows: NDArray[np.int64], values: NDArray[np.generic]
) -> dict[int, Evidence]:
    """What there is to say of each of `values` (n, *row_shape), by row number."""
    expected, causes = run.model.reconstruct(values), explain(run.model, values)
    sides = evidence_p_values(run.model, values)
    return {
        int(row): Evidence(
            causes[place].words,
            [asdict(feature) for feature in causes[place].features],
            values[place],
            expected[place],
            {} if sides is None else dict(zip(SIDES, sides[:, place].tolist(), strict=True)),
        )
        for place, row in enumerate(rows)
    }


def strange_rows(run: NightRun, judged: Judged) -> Sequence[Strange]:
    """Rows that lie farther from all clean rows than any calibration row does, though the ranking does not flag them."""
    clean = run.model.calibration_by("novelty")
    if (
        judged.facts is None
        or judged.decision is None
        or run.job.score.by == "novelty"
        or not len(clean)
    ):
        return ()
    found = judged.facts.strange
    scores = dict(zip(SCORES, run.model.scores(found.values), strict=True))
    blind = (found.scores > clean[-1]) & ~judged.decision.cut.flags(
        scores[run.job.score.by], found.rows
    )
    known = explained(run, found.rows[blind], found.values[blind])
    return tuple(
        Strange(str(name), str(file), int(row), float(novelty), float(error), known[int(row)])
        for name, file, row, novelty, error in zip(
            *(
                each[blind]
                for each in (found.ids, found.files, found.rows, found.scores, scores["error"])
            ),
            strict=True,
        )
    )


def count_strange(run: NightRun, judged: Judged, scores: Path) -> int:
    """How many rows `strange_rows` would list if its list did not end."""
    assert judged.decision is not None
    highest = Cut(
        float(run.calibration[-1]), -1
    )  # what lies above all calibration scores shows in the ranking, flagged or not
    return count_novel(
        scores,
        float(run.model.calibration_by("novelty")[-1]),
        run.job.score.by,
        *min(judged.decision.cut, highest),
    )


def drift_of(run: NightRun, judged: Judged) -> Mapping[str, Any]:
    """The figures of the comparison with clean rows and, on alarm, the features that moved.

    Empty where too few rows tell.
    """
    if judged.drift is None or judged.facts is None:
        return {}
    moved = judged.facts.features.moved() if judged.drift.alarm else []
    features = [
        {"name": feature_name(run.model, index), "mean": mean, "deviation": deviation}
        for index, mean, deviation in moved
    ]
    return {**asdict(judged.drift), "alarm": judged.drift.alarm, "features": features}


def checks_of(run: NightRun, source: Source | None) -> dict[str, str]:
    """What there is to say of the input."""
    if source is None:
        return {"input": run.path.name, "rows": "none"}
    shape = " × ".join(map(str, source.schema.row_shape))
    size = format_bytes(source.n_bytes)
    facts = {name: str(value) for name, value in source.facts.items()}
    ignored = {"columns not read": ", ".join(source.ignored)} if source.ignored else {}
    return {
        "input": run.path.name,
        **facts,
        "rows": f"{source.n_rows:,} of {shape} {source.schema.dtype}, {size}",
        **ignored,
    }


def changes_since(run: NightRun, scores: Path, picked: pa.Table) -> Changes | None:
    """What changed against the newest published revision that has scores;

    None where there is none.
    """
    if not run.place.scores.exists():
        return None
    older = read_manifest(run.place.scores, "scores")["revision"]
    before = set(run.place.summary(older)["flagged_ids"])
    flagged = (
        picked.filter(picked.column("flagged"))
        .column("id")
        .slice(0, run.job.score.alert_budget)
        .to_pylist()
    )
    return compare_scores(
        run.place.scores,
        scores,
        since=older,
        old_flagged=before,
        new_flagged={str(each) for each in flagged},
    )
