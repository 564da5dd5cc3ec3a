"""From an input to a published revision, unless the newest revision is already up to date."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial

from flows.engine.progress import part
from flows.engine.run_all import RunAll
from flows.scoring.judge import judge_scored
from flows.scoring.night_run import Judged, NightRun, nothing_scored
from flows.scoring.report import NightDraft, build_night
from flows.scoring.result import NightResult, read_result
from flows.scoring.series.night import judge_series
from flows.scoring.series.report import build_series_night
from flows.scoring.shards.scoring import ScoredShards, score_shards
from storage.errors import NoDataError, SourceError
from storage.nights.revisions import publish_revision
from storage.nights.summary import NightSummary
from storage.sources import Source


def score_and_publish(run: NightRun, source: Source, run_all: RunAll) -> NightResult:
    """Score the missing shards, judge the night, and publish a revision.

    Raises SourceError if the input changes while it is read.
    """
    fingerprint = run.fingerprint(source)
    scored = score_shards(run, source, run_all, fingerprint=fingerprint)
    if run.fingerprint(source) != fingerprint:
        raise SourceError(
            f"{source.path}: changed while it was read; rerun 'score' once it is complete"
        )
    if same := published_content(run, scored):
        if not scored.failed:
            shutil.rmtree(run.work, ignore_errors=True)
        # Record the new fingerprint; otherwise every recheck reads this input again.
        run.place.note_run(same.revision, fingerprint=fingerprint)
        return same
    kept = bool(scored.failed)
    if run.model.series is not None:
        with part("judging"):
            night = judge_series(run, source, scored)
        draft = NightDraft(
            run, night.judged, source=source, parts=scored.parts, fingerprint=fingerprint
        )
        return _publish(draft, partial(build_series_night, night=night), keep_shards=kept)
    with part("judging"):
        judged = judge_scored(run, source, scored)
    draft = NightDraft(run, judged, source=source, parts=scored.parts, fingerprint=fingerprint)
    return _publish(draft, build_night, keep_shards=kept)


def published_input(run: NightRun, source: Source) -> NightResult | None:
    """Return the newest revision if it is complete and of the same input, model and settings.

    The input is compared by its fingerprint, without reading rows.
    """
    newest, summary = newest_revision(run)
    if summary is None or run.force or not summary.complete:
        return None
    if run.place.run(newest).get("fingerprint") != run.fingerprint(source):
        return None
    same = (summary.model_id, summary.settings_digest) == (run.model_id, run.settings_digest)
    return read_result(run.place, newest, written=False) if same else None


def published_content(run: NightRun, scored: ScoredShards) -> NightResult | None:
    """Return the newest revision if it is of the same rows, failures, model and settings."""
    newest, summary = newest_revision(run)
    if summary is None or run.force:
        return None
    failed = [(each["shard"], each["why"]) for each in summary.failed_shards]
    found = (summary.input_digest, failed, summary.model_id, summary.settings_digest)
    same = found == (scored.digest, [*scored.failed], run.model_id, run.settings_digest)
    return read_result(run.place, newest, written=False) if same else None


def publish_no_data(run: NightRun, why: str) -> NightResult:
    """Publish a NO DATA revision, unless the newest revision is already NO DATA.

    Raises NoDataError if an earlier revision has scored rows.
    """
    newest, summary = newest_revision(run)
    if summary and summary.verdict == "NO DATA":
        return read_result(run.place, newest, written=False)
    if summary and summary.shards_total:
        raise NoDataError(f"{why}; revision {newest} of {run.place.date} has scores and is kept")
    return _publish_nothing_scored(run, nothing_scored("NO DATA", run.named_as_in_job(why)))


def publish_failed(run: NightRun, why: str) -> None:
    """Publish a FAILED revision with the reason why nothing was scored.

    Publishes nothing if the newest revision has the same reason, or has scored rows.
    """
    _, summary = newest_revision(run)
    why = run.without_folder(why)
    if summary and (summary.shards_total or (summary.verdict, summary.promise) == ("FAILED", why)):
        return
    _publish_nothing_scored(run, nothing_scored("FAILED", why))


def newest_revision(run: NightRun) -> tuple[int, NightSummary | None]:
    """Return the newest revision and its summary; 0 and None if there is none."""
    newest = run.place.newest()
    summary = run.place.summary(newest) if newest else None
    return newest, summary


def _publish_nothing_scored(run: NightRun, judged: Judged) -> NightResult:
    draft = NightDraft(run, judged, source=None, parts=None, fingerprint="")
    return _publish(draft, build_night, keep_shards=False)


def _publish(
    draft: NightDraft, build: Callable[[NightDraft], None], *, keep_shards: bool
) -> NightResult:
    """Build and publish a revision; `keep_shards` leaves finished shards for the next run."""
    run = draft.run
    with part("writing the report"):
        build(draft)
    revision = publish_revision(run.place, draft.folder)
    assert revision is not None
    if not keep_shards:
        shutil.rmtree(run.work, ignore_errors=True)
    return read_result(run.place, revision, written=True)
