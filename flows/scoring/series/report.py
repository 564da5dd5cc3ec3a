"""From a judged night of series to its two folders, `scores` and `report`."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aemodel.decisions.ranking import Tally, picture_edges
from aemodel.series.model import SeriesModel
from flows.scoring.report import (
    NightDraft,
    link_parts,
    night_without_scores,
    write_run_record,
    write_scores_folder,
)
from flows.scoring.series.evidence import Found, find_evidence
from flows.scoring.series.night import SeriesNight
from flows.scoring.series.shards import night_bins
from flows.scoring.series.timeline import BINS
from flows.scoring.series.warmup import Judges
from storage.files.atomic import write_bytes, write_json
from storage.files.manifest import write_manifest
from storage.nights.night import Night
from storage.nights.report import summarize
from storage.nights.revisions import mark_ready
from storage.nights.scores import score_quantiles
from storage.nights.series.events import EventRow, event_table, write_events
from storage.nights.summary import WINDOWS, NightLine
from storage.pages.events.page import render_events_report
from storage.pages.events.report import EventsReport, Timeline
from storage.pages.nights.comparison import compare_figures
from storage.pages.nights.history import draw_strip, usual_night
from storage.sources import relative_names
from storage.sources.series.source import SeriesSource

DOWNLOADS = ("outliers.csv", "outliers.parquet", "summary.json")


def build_series_night(draft: NightDraft, night: SeriesNight) -> None:
    """Build `scores` and `report` in the draft's folder and mark them as ready."""
    assert draft.parts is not None, "shards were scored"
    shutil.rmtree(draft.folder, ignore_errors=True)
    draft.report.mkdir(parents=True)
    link_parts(draft.parts, draft.scores)
    write_scores_folder(draft, night.decision, rows=night.summary.rows)
    found = _explained(draft, night)
    figures = _figures(draft, night)
    timestamps = _source(draft).has_timestamps
    table = event_table([_row(draft, each) for each in found], timestamps=timestamps)
    write_events(draft.report, table)
    listed = table.column("id").to_pylist()[: draft.run.job.score.alert_budget]
    summary = summarize(figures, listed)
    write_json(draft.report / "summary.json", summary.to_json())
    page = render_events_report(_report(draft, night, figures, found, summary.line))
    write_bytes(draft.report / "report.html", page)
    write_manifest(draft.report, "report", draft.key)
    write_run_record(draft)
    mark_ready(draft.folder, draft.revision)


def _source(draft: NightDraft) -> SeriesSource:
    assert isinstance(draft.source, SeriesSource), "the input of a job with [series]"
    return draft.source


def _model(draft: NightDraft) -> SeriesModel:
    assert draft.run.model.series is not None, "a model of series"
    return draft.run.model.series


def _explained(draft: NightDraft, night: SeriesNight) -> list[Found]:
    """Explain the events that are listed: up to the alert budget, or the top N."""
    settings = draft.run.job.score
    judges = Judges(_model(draft), _source(draft))
    listed = night.events[: max(settings.top_n, settings.alert_budget)]
    return [find_evidence(judges, run, rank) for rank, run in enumerate(listed, start=1)]


def _row(draft: NightDraft, found: Found) -> EventRow:
    source, model = _source(draft), _model(draft)
    files = relative_names(source.path, [*source.files])
    return EventRow(
        id=found.id,
        entity=found.entity,
        start=found.start,
        end=found.end,
        peak=found.peak,
        rows=found.run.stop - found.run.start,
        row=found.peak_row,
        file=files[found.file],
        file_row=source.locate(found.peak_row)[1],
        score=found.run.score,
        p_value=float(model.calibration.p_values(np.array([found.run.score]))[0]),
        sensors=[model.sensors[each.index] for each in found.cause.sensors],
        cause=found.cause.words,
    )


def _figures(draft: NightDraft, night: SeriesNight) -> Night:
    """The figures of summary.json."""
    decision, highest = night.decision, _model(draft).calibration.highest
    edges = picture_edges(highest)
    tonight = night.summary.highest.scores
    p50, p99 = score_quantiles(draft.scores, "score", (0.5, 0.99))
    return replace(
        night_without_scores(draft),
        rows=night.summary.rows,
        p50=p50,
        p99=p99,
        flagged=decision.flagged,
        expected=decision.expected,
        limit=decision.limit,
        rule=decision.rule,
        promise=decision.promise if night.summary.rows else draft.judged.why,
        promises=decision.promises and not draft.judged.failed,
        cut_score=decision.cut.score,
        calibration_rows=len(highest),
        score_name=WINDOWS,
        edges=edges,
        counts=Tally.of(highest, tonight).picture,
        calibration_counts=Tally.of(highest, highest).picture,
        pictures=False,
    )


def _report(
    draft: NightDraft, night: SeriesNight, figures: Night, found: Sequence[Found], line: NightLine
) -> EventsReport:
    run, source, model = draft.run, _source(draft), _model(draft)
    series = run.job.series
    assert series is not None, "a job with [series]"
    warnings = [f"{what}: {why}" for what, why in draft.judged.failed]
    return EventsReport(
        job=run.job.name,
        date=run.place.date,
        revision=draft.revision,
        verdict=draft.judged.verdict,
        rows=night.summary.rows,
        n_entities=len(source.index.counts),
        n_events=night.decision.flagged,
        entity_name=series.entity,
        expected=_expected(night),
        promise=figures.promise,
        zone=str(run.job.zone) if source.has_timestamps else None,
        model_id=run.model_id,
        input_digest=draft.judged.digest,
        strip=draw_strip(line, figures.earlier),
        comparison=compare_figures(line, figures.earlier, flagged="events"),
        usual_night=usual_night(figures.earlier),
        timeline=_timeline(source, night),
        events=[each.view for each in found],
        warnings=warnings,
        notes=draft.judged.notes,
        checks=figures.checks,
        settings=_settings(draft, model),
        command=run.command,
        downloads=DOWNLOADS,
        index="../../index.html",
    )


def _expected(night: SeriesNight) -> str:
    expected, limit = night.decision.expected, night.decision.limit
    if expected is None:
        return ""
    return f"{expected:.2g} events, rarely above {limit}"


def _settings(draft: NightDraft, model: SeriesModel) -> dict[str, str]:
    run = draft.run
    return {
        "rule": run.job.score.rule.text,
        "window": f"{model.scorer.window:,} rows, one every {model.scorer.stride:,}",
        "baseline": str(model.settings.baseline),
        "clean stretches": (
            f"{len(model.calibration.highest):,} of {model.calibration.stretch:,.0f} rows"
        ),
        "model": run.model_id,
        "input digest": draft.judged.digest,
        "settings digest": run.settings_digest,
        **run.made_with,
    }


def _timeline(source: SeriesSource, night: SeriesNight) -> Timeline | None:
    highest = night.summary.highest
    if not len(highest.scores):
        return None
    bins, cut = night_bins(source), night.decision.cut.score
    used = np.unique(highest.entities)
    scores = np.full((len(used), BINS), np.nan)
    scores[np.searchsorted(used, highest.entities), highest.bins] = highest.scores
    edges = bins.first + bins.length * np.arange(BINS + 1)
    whole = np.unique(edges.astype(np.int64))
    if len(whole) < BINS + 1:  # fewer ticks than bins
        return None
    relative = scores / cut if np.isfinite(cut) and cut > 0 else np.zeros_like(scores)
    return Timeline(
        entities=[source.entities[each] for each in used], edges=whole, highest=relative
    )
