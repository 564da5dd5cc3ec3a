"""The shards of one night: scored where they are missing, kept until the night is published."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aemodel.decisions.rules import Rule
from aemodel.model import Autoencoder
from aemodel.scores.p_values import p_values
from aemodel.settings import SCORES
from flows.engine.run_all import RunAll
from flows.engine.shard_job import FailedShards, ShardJob, run_shards
from flows.engine.shard_tasks import rows_per_chunk
from flows.scoring.night_run import NightRun
from flows.scoring.shard_summary import ShardSummary
from storage.files.atomic import sha256_file, write_beside, write_json
from storage.nights.scores import COLUMNS, ScoreWriter, part_name
from storage.sources import Chunk, RowsDigest, Shard, Source, combine_digests, plan_shards


@dataclass(frozen=True)
class ScoredShards:
    """What the shards of a night gave.

    parts: the folder with their files. failed: what could not be scored, and why.
    total: number of all shards.
    """

    parts: Path
    notes: Sequence[ScoredShard]
    failed: Sequence[tuple[str, str]]
    total: int

    @property
    def digest(self) -> str:
        """SHA-256 of the content of all scored rows."""
        return combine_digests([note.digest for note in self.notes])


def score_shards(
    run: NightRun, source: Source, run_all: RunAll, *, fingerprint: str
) -> ScoredShards:
    """Score the shards that no earlier run of this input, model and settings has finished."""
    shards = plan_shards(source, run.job.data.shard_bytes)
    scorer = ShardScorer(
        model=run.model,
        source=source,
        work=parts_folder(run, fingerprint),
        by=run.job.score.by,
        keep=run.keep,
        rule=run.job.score.rule,
        max_rows=rows_per_chunk(source, run.job.score.memory),
    )
    notes, failed = run_shards(scorer, shards, run_all)
    return ScoredShards(scorer.work, notes, describe_failed(run, failed), len(shards))


def parts_folder(run: NightRun, fingerprint: str) -> Path:
    """The folder that keeps finished shards; those of another input, model or settings go."""
    key = f"{fingerprint} {run.model_id} {run.settings_digest} {COLUMNS}"
    parts = run.work / f"parts-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    for other in run.work.glob("*"):
        if other != parts:
            shutil.rmtree(other, ignore_errors=True)
    parts.mkdir(parents=True, exist_ok=True)
    return parts


def describe_failed(run: NightRun, failed: Sequence[FailedShards]) -> list[tuple[str, str]]:
    """For each failed shard, its rows and why."""
    return [
        (
            f"shard {shard.index}, rows {shard.start:,} to {shard.stop:,}",
            run.without_folder(str(group.error)),
        )
        for group in failed
        for shard in group.shards
    ]


@dataclass(frozen=True)
class ScoredShard:
    """A finished shard: its place, the digest of its input, and the SHA-256 of the two files that hold its results."""

    index: int
    start: int
    stop: int
    digest: str
    part_sha256: str
    facts_sha256: str


@dataclass(frozen=True)
class ShardScorer(ShardJob[ScoredShard]):
    """Scores runs of shards into the work folder. by.

    One of SCORES; keep: rows kept in detail; rule: of the night.
    """

    model: Autoencoder
    source: Source
    work: Path
    by: str
    keep: int
    rule: Rule
    max_rows: int

    def finished(self, shard: Shard) -> ScoredShard | None:
        """Return the note of a shard that an earlier run finished."""
        return shard_scored(self.work, shard)

    def run_shard(self, shard: Shard, chunks: Iterable[Chunk]) -> ScoredShard:
        """Score one shard: write its scores and facts, and only then note it as done."""
        calibration = self.model.calibration_by(self.by)
        settings: dict[str, Any] = {
            "calibration": calibration,
            "threshold": self.rule.threshold(calibration),
            "keep": self.keep,
        }
        digest, facts = RowsDigest(), None
        part, facts_file = self.work / part_name(shard.index), facts_path(self.work, shard.index)
        with write_beside(part) as beside, ScoreWriter(beside, text_ids=self.text_ids) as writer:
            for chunk in chunks:
                scores = dict(zip(SCORES, self.model.scores(chunk.rows), strict=True))
                rows = np.arange(chunk.start, chunk.start + len(chunk.rows))
                known = p_values(calibration, scores[self.by]) if len(calibration) else None
                writer.append(rows, chunk.ids, chunk.file, scores, known)
                digest.update(chunk.rows, chunk.ids)
                found = ShardSummary.of_chunk(
                    self.model, chunk, scores[self.by], scores["novelty"], **settings
                )
                facts = facts.merge(found) if facts else found
        assert facts is not None, "a planned shard holds at least one row"
        with write_beside(facts_file) as beside:
            facts.save(beside)
        note = ScoredShard(
            shard.index,
            shard.start,
            shard.stop,
            digest.hexdigest(),
            sha256_file(part),
            sha256_file(facts_file),
        )
        write_json(note_path(self.work, shard.index), asdict(note))
        return note

    @property
    def text_ids(self) -> bool:
        """Whether rows have ids of their own that are text; whole numbers stay numbers."""
        first = next(self.source.chunks(0, 1, max_rows=1), None)
        return first is not None and first.ids is not None and first.ids.dtype.kind not in "iu"


def facts_path(work: Path, index: int) -> Path:
    """Where a shard's counts and highest rows are kept until the night is published."""
    return work / f"facts-{index:05d}.npz"


def note_path(work: Path, index: int) -> Path:
    """The note that a shard is done."""
    return work / f"note-{index:05d}.json"


def shard_scored(work: Path, shard: Shard) -> ScoredShard | None:
    """The note of a shard that an earlier run finished, or None where it must be done (again)."""
    path = note_path(work, shard.index)
    if not path.exists():
        return None
    note = ScoredShard(**json.loads(path.read_text(encoding="utf-8")))
    files = (
        (work / part_name(shard.index), note.part_sha256),
        (facts_path(work, shard.index), note.facts_sha256),
    )
    whole = all(file.exists() and sha256_file(file) == digest for file, digest in files)
    return note if whole and (note.start, note.stop) == (shard.start, shard.stop) else None
