"""score: judge one night. Shards are scored, one decision is made over all of them, and scores and report are published together."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aemodel.contamination import warning
from aemodel.drift import find_drift
from aemodel.model import Autoencoder
from aemodel.ranking import Tally
from aemodel.rules import Decision, decide, parse_rule, withheld
from aemodel.verdict import judge_night
from flows.before_night import age_remark, chosen_model, device_remark, open_night
from flows.candidates import Candidates
from flows.disk_space import require_space, score_bytes
from flows.encode import model_in_force
from flows.engine import RunAll
from flows.errors import unexpected
from flows.grouping import group_shards, rows_per_chunk
from flows.job import Job
from flows.night_report import Judged, build_night
from flows.night_result import NightResult, result_of
from flows.places import parse_date
from flows.run_facts import RunFacts
from flows.score_shard import ShardNote, ShardScorer, facts_path
from flows.shard_facts import ShardFacts
from flows.workspace import open_workspace
from storage.errors import NoDataError, SourceError
from storage.locks import lock
from storage.nights import NightPlace, publish_night
from storage.scores import COLUMNS
from storage.sources import Shard, Source, combine_digests, files_digest, plan_shards

log = logging.getLogger(__name__)
WAIT = float("inf")  # for another run of the same night: what it finishes is found done, what it leaves is taken over


def score_night(job: Job, *, date: str, source: str, model: str, force: bool, run_all: RunAll, device: str) -> NightResult:
    """Score the rows of a data date and publish a revision; where nothing has changed since the last complete one, write nothing.

    Raises SourceError, SchemaError and UsageError before any work where the input or the options are wrong.
    """
    workspace, facts, day = open_workspace(job), RunFacts.begin(), parse_date(date)
    parse_rule(job.score.rule)
    path = Path(source) if source else job.incoming(day)
    place = NightPlace(workspace.root, job.name, day.isoformat())
    model_id, network = model_in_force(workspace, device=device, model_id=chosen_model(job, workspace.models, model, day))
    network.calibration_by(job.score.by)  # raises where the model does not know that score, before any work
    folder = workspace.models / model_id
    said = age_remark(folder, day, limit=job.schedule.max_model_age_days), device_remark(folder, network.device)
    run = NightRun(job, place, workspace.work(f"score-{day}"), path, model_id, network, facts, force, tuple(filter(None, said)))
    with lock(workspace.lock(f"score-{day}"), wait=WAIT):
        publish_night(place, run.work / "night")
        try:
            opened = open_night(job, path, network.layout, data_date=None if source else day)
        except SourceError as error:
            if source:  # a slip of whoever named it, and nothing to do with the night
                raise
            if isinstance(error, NoDataError):
                return run.no_data(str(error))
            run.stopped(str(error))
            raise
        with opened:
            if not opened.n_rows and source:
                raise NoDataError(f"{path}: holds no rows")
            if not opened.n_rows:
                return run.no_data(f"{path}: holds no rows")
            if known := run.known(opened):
                return known
            require_space(run.work, score_bytes(opened, plan_shards(opened, job.shard_bytes), keep=run.keep))
            return run.score(opened, run_all)


@dataclass(frozen=True)
class NightRun:
    """One run of `score` for one data date, under its lock."""

    job: Job
    place: NightPlace
    work: Path
    path: Path
    model_id: str
    model: Autoencoder
    facts: RunFacts
    force: bool
    remarks: tuple[str, ...] = ()

    @functools.cached_property
    def settings_digest(self) -> str:
        """Digest of the settings that a report depends on."""
        score = {key: value for key, value in asdict(self.job.score).items() if key not in ("memory", "runner", "dask_address")}
        return hashlib.sha256(json.dumps(score, sort_keys=True).encode()).hexdigest()

    def known(self, source: Source) -> NightResult | None:
        """The newest revision, if it is complete and of this very input (by fingerprint), model and settings."""
        newest, summary = self._newest()
        if not newest or self.force or self.place.run(newest).get("fingerprint") != self.fingerprint(source):
            return None
        same = summary["complete"] and (summary["model_id"], summary["settings_digest"]) == (self.model_id, self.settings_digest)
        return result_of(self.place, newest, written=False) if same else None

    def fingerprint(self, source: Source) -> str:
        """Fingerprint of the input, of how it is cut, and of its files alone."""
        return f"{source.fingerprint()} {self.job.shard_bytes} {files_digest(source.files)}"

    def score(self, source: Source, run_all: RunAll) -> NightResult:
        """Score what is missing, decide, publish."""
        fingerprint = self.fingerprint(source)
        shards = plan_shards(source, self.job.shard_bytes)
        parts = self._parts_folder(fingerprint)
        notes, failed = self._score_shards(source, shards, parts, run_all)
        if self.fingerprint(source) != fingerprint:
            raise SourceError(f"{source.path}: changed while it was read; run 'score' again once it is complete")
        if not failed and (same := self._same_content(notes)):
            shutil.rmtree(self.work, ignore_errors=True)
            self.place.note_run(same.revision, fingerprint=fingerprint)  # else it would be read again at every look
            return same
        judged = self._judge(source, shards, notes, failed, parts)
        build_night(self, judged, source, parts, fingerprint=fingerprint)
        revision = publish_night(self.place, self.work / "night")
        assert revision is not None
        if not failed:
            shutil.rmtree(self.work, ignore_errors=True)
        return result_of(self.place, revision, written=True)

    def no_data(self, why: str) -> NightResult:
        """Publish a NO DATA revision, unless the newest one says so already. Raises NoDataError where rows were scored before."""
        newest, summary = self._newest()
        if summary.get("verdict") == "NO DATA":
            return result_of(self.place, newest, written=False)
        if summary.get("shards_total"):
            raise NoDataError(f"{why}; revision {newest} of {self.place.date} was scored before and stays as it is")
        return self._nothing_scored("NO DATA", self._without_folder(why))

    def stopped(self, why: str) -> None:
        """Publish a FAILED revision that says why nothing was scored, unless the newest one says so already or rows were scored before."""
        _, summary = self._newest()
        why = self._without_folder(why)
        if not summary.get("shards_total") and (summary.get("verdict"), summary.get("promise")) != ("FAILED", why):
            self._nothing_scored("FAILED", why)

    def _without_folder(self, why: str) -> str:
        return why.replace(f"{self.path.parent}/", "")  # no path stands in what is digested

    def _newest(self) -> tuple[int, dict[str, Any]]:
        newest = self.place.newest()
        return newest, self.place.summary(newest) if newest else {}

    def _nothing_scored(self, verdict: str, why: str) -> NightResult:
        judged = Judged(verdict=verdict, decision=None, facts=None, drift=None, notes=(), failed=(), shards=0, digest="", why=why)
        build_night(self, judged, None, None, fingerprint="")
        revision = publish_night(self.place, self.work / "night")
        assert revision is not None
        shutil.rmtree(self.work, ignore_errors=True)
        return result_of(self.place, revision, written=True)

    def _parts_folder(self, fingerprint: str) -> Path:
        """The folder that finished shards of this input, model, settings and columns are kept in; those of another one are dropped."""
        key = hashlib.sha256(f"{fingerprint} {self.model_id} {self.settings_digest} {COLUMNS}".encode()).hexdigest()[:12]
        parts = self.work / f"parts-{key}"
        for other in self.work.glob("*"):
            if other != parts:
                shutil.rmtree(other, ignore_errors=True)
        parts.mkdir(parents=True, exist_ok=True)
        return parts

    def _score_shards(
        self, source: Source, shards: Sequence[Shard], parts: Path, run_all: RunAll
    ) -> tuple[list[ShardNote], list[tuple[str, str]]]:
        rule, chunk = parse_rule(self.job.score.rule), rows_per_chunk(source, self.job.memory_bytes)
        scorer = ShardScorer(self.model, source, parts, self.job.score.by, self.keep, rule, chunk)
        notes: list[ShardNote] = []
        failed: list[tuple[Shard, str]] = []
        for outcome in run_all(scorer.score_group, group_shards(source, shards)):
            if outcome.error is None and outcome.value is not None:
                notes += outcome.value
            else:
                log.error("%s", outcome.error, exc_info=unexpected(outcome.error))
                failed += [(shard, self._without_folder(str(outcome.error))) for shard in outcome.item]
        failed.sort(key=lambda each: each[0].index)
        told = [(f"shard {shard.index}, rows {shard.start:,} to {shard.stop:,}", why) for shard, why in failed]
        return sorted(notes, key=lambda note: note.index), told

    @property
    def keep(self) -> int:
        """Rows kept in detail."""
        return max(self.job.score.top_n, self.job.score.alert_budget)

    def _same_content(self, notes: Sequence[ShardNote]) -> NightResult | None:
        """The newest revision, if it is complete and of the same content, model and settings, though the files' times differ."""
        newest, summary = self._newest()
        if not newest or self.force:
            return None
        mine = (combine_digests([note.digest for note in notes]), self.model_id, self.settings_digest)
        theirs = (summary["input_digest"], summary["model_id"], summary["settings_digest"])
        return result_of(self.place, newest, written=False) if summary["complete"] and mine == theirs else None

    def _judge(
        self, source: Source, shards: Sequence[Shard], notes: Sequence[ShardNote], failed: Sequence[tuple[str, str]], parts: Path
    ) -> Judged:
        """One decision over all finished shards; summaries merge exactly, so neither shards nor their order matter."""
        facts: ShardFacts | None = None
        for note in notes:
            found = ShardFacts.load(facts_path(parts, note.index), self.keep)
            facts = facts.merge(found) if facts else found
        tally = facts.tally if facts else Tally.of(self.calibration, np.empty(0))
        drift = find_drift(self.calibration, tally)
        drifted = bool(drift and drift.alarm)
        decision = self._decide(tally, facts)
        if drift and drifted:
            decision = withheld(decision, drift.words())
        verdict, others = judge_night(
            decision,
            rows=tally.rows,
            alert_budget=self.job.score.alert_budget,
            shards_done=len(notes),
            shards_total=len(shards),
            drifted=drifted,
        )
        return Judged(
            verdict=verdict,
            decision=decision if facts else None,
            facts=facts,
            drift=drift,
            notes=(*others, *self._remarks(source)),
            failed=tuple(failed),
            shards=len(shards),
            digest=combine_digests([note.digest for note in notes]),
            why="" if facts else failed[0][1],
        )

    @property
    def calibration(self) -> NDArray[np.float64]:
        """The calibration rows' scores, of the kind that rows are ranked by, ascending."""
        return self.model.calibration_by(self.job.score.by)

    def _decide(self, tally: Tally, facts: ShardFacts | None) -> Decision:
        ranking = facts.best.ranking if facts else Candidates.none(self.keep).ranking
        return decide(parse_rule(self.job.score.rule), self.calibration, tally, ranking, top_n=self.job.score.top_n)

    def _remarks(self, source: Source) -> tuple[str, ...]:
        new = () if self.job.data.columns else source.ignored_numbers
        extra = f"columns of numbers that the model does not know, not read: {', '.join(new)}" if new else ""
        return tuple(remark for remark in (extra, warning(self.calibration), *self.remarks) if remark)
