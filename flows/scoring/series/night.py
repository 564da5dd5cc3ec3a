"""One decision over the scored shards of a night of series: its events, and the verdict."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

from aemodel.decisions.rules import Decision, withhold_promise
from aemodel.decisions.verdict import Coverage, judge_night
from aemodel.series.events.decision import Extent, decide_series
from aemodel.series.events.runs import Run
from aemodel.series.model import SeriesModel
from flows.jobs.settings import Job
from flows.scoring.judge import TRAINING_ROWS, scored_training_rows
from flows.scoring.night_run import Judged, NightRun
from flows.scoring.series.gaps import lost_sensors
from flows.scoring.series.summary import SeriesSummary
from flows.scoring.shards.notes import summary_path
from flows.scoring.shards.scoring import ScoredShards
from storage.sources import Source
from storage.sources.series.source import SeriesSource
from storage.text import list_first

log = logging.getLogger(__name__)
MOST_NAMED = 5  # entities in one note
FEW_UNCOVERED = 0.01  # share of the rows: a short series each night would hide every REVIEW


@dataclass(frozen=True)
class SeriesNight:
    """The judgment of a night of series. events: highest first."""

    judged: Judged
    summary: SeriesSummary
    events: tuple[Run, ...]

    @property
    def decision(self) -> Decision:
        """What the rule flags."""
        assert self.judged.decision is not None, "series are always decided on"
        return self.judged.decision


def judge_series(run: NightRun, source: Source, scored: ScoredShards) -> SeriesNight:
    """Judge a night from the summaries of its shards, in order of rows."""
    assert isinstance(source, SeriesSource), "the input of a job with [series]"
    model, settings = run.model.series, run.job.score
    assert model is not None, "a model of series"
    summary = SeriesSummary.none()
    for note in scored.notes:
        summary = summary.merge(SeriesSummary.load(summary_path(scored.parts, note.index)))
    extent = Extent(summary.rows, source.at_once)
    decision, events = decide_series(
        settings.rule, model, summary.runs, extent, top_n=settings.top_n
    )
    if decision.promises and scored_training_rows(run, source, scored):
        decision = withhold_promise(decision, TRAINING_ROWS)
    lost = lost_sensors(summary.gaps, model, source.entities)
    for what in lost.notes:
        log.warning("%s", what)
    verdict, others = judge_night(
        replace(decision, limit=0),  # every event is to be reviewed: clean data has hardly any
        Coverage(
            rows=summary.rows,
            rows_unusable=scored.unusable + _missed(summary),
            shards_done=len(scored.notes),
            shards_total=scored.total,
            files=scored.files,
            files_broken=scored.broken_files,
            sensors=lost.total,
            sensors_lost=lost.count,
        ),
        alert_budget=settings.alert_budget,
    )
    judged = Judged(
        verdict=verdict,
        decision=decision,
        summary=None,
        drift=None,
        notes=(*others, *run.remarks, *_notes(run.job, model, source, summary), *lost.notes),
        failed=tuple(scored.failed),
        shards_done=len(scored.notes),
        shards=scored.total,
        digest=scored.digest,
        unscored=scored.unread + scored.unusable + summary.uncovered,
        broken_files=scored.broken_files,
        why="" if summary.rows else _why_nothing(scored, summary, model),
    )
    return SeriesNight(judged, summary, tuple(events))


def _missed(summary: SeriesSummary) -> int:
    """Return how many rows that no window covers make a night PARTIAL: all, or none if few."""
    few = summary.uncovered <= FEW_UNCOVERED * (summary.rows + summary.uncovered)
    return 0 if few else summary.uncovered


def _why_nothing(scored: ScoredShards, summary: SeriesSummary, model: SeriesModel) -> str:
    if scored.failed:
        return scored.failed[0][1]
    return (
        f"no series is as long as a window of {model.scorer.window} rows "
        f"({summary.uncovered:,} rows)"
    )


def _notes(job: Job, model: SeriesModel, source: SeriesSource, summary: SeriesSummary) -> list[str]:
    """Say which rows and entities were judged otherwise than the others."""
    found = []
    if summary.uncovered:
        found.append(
            f"{summary.uncovered:,} rows are not judged: they lie between two pauses that are "
            f"less than a window of {model.scorer.window} rows apart"
        )
    found += _entity_notes(job, model, source)
    step, clean = source.series.typical_step, model.step
    if step and abs(step - clean) > 0.05 * clean:
        found.append(
            f"rows are {step:g} apart, clean ones {clean:g}: set series.resample, and train again"
        )
    return found


def _entity_notes(job: Job, model: SeriesModel, source: SeriesSource) -> Iterator[str]:
    """Say which entities came, and which went, if only a few did."""
    known = model.levels.names
    tonight = [source.entities[each] for each in source.index.order_of]
    column = job.series.order.entity_column if job.series else ""
    what = f"values of {column}" if column else "files"
    new = sorted({*tonight} - {*known})
    if known and new:
        yield (
            f"{len(new):,} of {len(tonight):,} {what} are not in the clean data, and are judged by "
            f"the level of all: {list_first(new, MOST_NAMED)}"
        )
    gone = sorted({*known} - {*tonight})
    if 0 < len(gone) <= len(known) / 2:  # of more, tonight has those that it happens to have
        yield (
            f"{len(gone):,} of {len(known):,} {what} in the clean data have no rows tonight: "
            f"{list_first(gone, MOST_NAMED)}"
        )
