"""One shard of a night: scores to Parquet, and small facts that merge exactly whatever the shards or their order."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aemodel.calibration import p_values
from aemodel.model import Autoencoder
from aemodel.rules import Rule
from aemodel.settings import SCORES
from flows.grouping import read_shards
from flows.shard_facts import ShardFacts
from storage.atomic import sha256_file, write_beside, write_json
from storage.scores import ScoreWriter, part_name
from storage.sources import Chunk, RowsDigest, Shard, Source


@dataclass(frozen=True)
class ShardNote:
    """A finished shard: its place, the digest of its input, and the SHA-256 of the two files that hold its results."""

    index: int
    start: int
    stop: int
    digest: str
    part_sha256: str
    facts_sha256: str


@dataclass(frozen=True)
class ShardScorer:
    """Scores runs of shards into the work folder. by: one of SCORES; keep: rows kept in detail; rule: of the night."""

    model: Autoencoder
    source: Source
    work: Path
    by: str
    keep: int
    rule: Rule
    max_rows: int

    def score_group(self, shards: Sequence[Shard]) -> list[ShardNote]:
        """Score consecutive shards, but for those that an earlier run finished."""
        done = {shard.index: note for shard in shards if (note := shard_scored(self.work, shard))}
        missing = [shard for shard in shards if shard.index not in done]
        for shard, chunks in read_shards(self.source, missing, self.max_rows):
            done[shard.index] = self.score_shard(shard, chunks)
        return [done[shard.index] for shard in shards]

    def score_shard(self, shard: Shard, chunks: Iterable[Chunk]) -> ShardNote:
        """Score one shard: write its scores and facts, and only then note it as done."""
        calibration = self.model.calibration_by(self.by)
        settings: dict[str, Any] = {"calibration": calibration, "threshold": self.rule.threshold(calibration), "keep": self.keep}
        digest, facts = RowsDigest(), None
        part, facts_file = self.work / part_name(shard.index), facts_path(self.work, shard.index)
        with write_beside(part) as beside, ScoreWriter(beside, text_ids=self.text_ids) as writer:
            for chunk in chunks:
                scores = dict(zip(SCORES, self.model.scores(chunk.rows), strict=True))
                rows = np.arange(chunk.start, chunk.start + len(chunk.rows))
                known = p_values(calibration, scores[self.by]) if len(calibration) else None
                writer.append(rows, chunk.ids, chunk.file, scores, known)
                digest.update(chunk.rows, chunk.ids)
                found = ShardFacts.of_chunk(self.model, chunk, scores[self.by], scores["novelty"], **settings)
                facts = facts.merge(found) if facts else found
        assert facts is not None, "a planned shard holds at least one row"
        with write_beside(facts_file) as beside:
            facts.save(beside)
        note = ShardNote(shard.index, shard.start, shard.stop, digest.hexdigest(), sha256_file(part), sha256_file(facts_file))
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


def shard_scored(work: Path, shard: Shard) -> ShardNote | None:
    """The note of a shard that an earlier run finished, or None where it must be done (again)."""
    path = note_path(work, shard.index)
    if not path.exists():
        return None
    note = ShardNote(**json.loads(path.read_text(encoding="utf-8")))
    files = ((work / part_name(shard.index), note.part_sha256), (facts_path(work, shard.index), note.facts_sha256))
    whole = all(file.exists() and sha256_file(file) == digest for file, digest in files)
    return note if whole and (note.start, note.stop) == (shard.start, shard.stop) else None
