"""From an input to a published revision, unless the newest one already says the same."""

from __future__ import annotations

import shutil

from flows.engine.run_all import RunAll
from flows.scoring.judge import judge
from flows.scoring.night_run import NightRun, nothing_scored
from flows.scoring.report import build_night
from flows.scoring.result import NightResult, result_of
from flows.scoring.score_shards import ScoredShards, score_shards
from storage.errors import NoDataError, SourceError
from storage.nights.revisions import publish_revision
from storage.nights.summary import NightSummary
from storage.sources import Source


def score_and_publish(run: NightRun, source: Source, run_all: RunAll) -> NightResult:
    """Score what is missing, decide, publish."""
    fingerprint = run.fingerprint(source)
    scored = score_shards(run, source, run_all, fingerprint=fingerprint)
    if run.fingerprint(source) != fingerprint:
        raise SourceError(
            f"{source.path}: changed while it was read; rerun 'score' once it is complete"
        )
    if not scored.failed and (same := published_content(run, scored)):
        shutil.rmtree(run.work, ignore_errors=True)
        run.place.note_run(
            same.revision, fingerprint=fingerprint
        )  # else every recheck reads it again
        return same
    build_night(run, judge(run, source, scored), source, scored.parts, fingerprint=fingerprint)
    revision = publish_revision(run.place, run.work / "night")
    assert revision is not None
    if not scored.failed:
        shutil.rmtree(run.work, ignore_errors=True)
    return result_of(run.place, revision, written=True)


def published_input(run: NightRun, source: Source) -> NightResult | None:
    """The newest revision, if it is complete and of this input (by fingerprint), model and settings."""
    newest, summary = newest_revision(run)
    if summary is None or run.force or not summary.complete:
        return None
    if run.place.run(newest).get("fingerprint") != run.fingerprint(source):
        return None
    same = (summary.model_id, summary.settings_digest) == (run.model_id, run.settings_digest)
    return result_of(run.place, newest, written=False) if same else None


def published_content(run: NightRun, scored: ScoredShards) -> NightResult | None:
    """The newest revision, if it is complete and of this content, model and settings."""
    newest, summary = newest_revision(run)
    if summary is None or run.force or not summary.complete:
        return None
    found = (summary.input_digest, summary.model_id, summary.settings_digest)
    same = found == (scored.digest, run.model_id, run.settings_digest)
    return result_of(run.place, newest, written=False) if same else None


def publish_no_data(run: NightRun, why: str) -> NightResult:
    """Publish a NO DATA revision, unless the newest one says so already.

    Raises NoDataError where rows were scored before.
    """
    newest, summary = newest_revision(run)
    if summary and summary.verdict == "NO DATA":
        return result_of(run.place, newest, written=False)
    if summary and summary.shards_total:
        raise NoDataError(
            f"{why}; revision {newest} of {run.place.date} was scored before and stays as it is"
        )
    return _publish_nothing_scored(run, "NO DATA", run.without_folder(why))


def publish_failed(run: NightRun, why: str) -> None:
    """Publish a FAILED revision that says why nothing was scored.

    Nothing is published where the newest revision says so already, or rows were scored before.
    """
    _, summary = newest_revision(run)
    why = run.without_folder(why)
    said = summary and (summary.verdict, summary.promise) == ("FAILED", why)
    if not (summary and summary.shards_total) and not said:
        _publish_nothing_scored(run, "FAILED", why)


def newest_revision(run: NightRun) -> tuple[int, NightSummary | None]:
    """The newest revision and its summary; 0 and None where there is none."""
    newest = run.place.newest()
    return newest, run.place.summary(newest) if newest else None


def _publish_nothing_scored(run: NightRun, verdict: str, why: str) -> NightResult:
    build_night(run, nothing_scored(verdict, why), None, None, fingerprint="")
    revision = publish_revision(run.place, run.work / "night")
    assert revision is not None
    shutil.rmtree(run.work, ignore_errors=True)
    return result_of(run.place, revision, written=True)
