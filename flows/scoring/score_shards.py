"""Score the shards of one night; finished shards are kept until the night is published."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aemodel.settings import SCORES
from flows.engine.run_all import RunAll
from flows.engine.shard_job import FailedShards, ShardJob, run_shards
from flows.engine.shard_tasks import join_chunks, rows_of_group, rows_per_chunk
from flows.scoring.night_run import NightRun
from flows.scoring.shard_summary import ShardSummary, Summarizer
from storage.errors import SourceError
from storage.files.atomic import sha256_file, write_beside, write_json
from storage.nights.scores import COLUMNS, ScoreWriter, part_name
from storage.sources import Chunk, RowsDigest, Shard, Source, combine_digests, plan_shards

log = logging.getLogger(__name__)
MOST_UNUSABLE = 5  # named rows per shard that could not be judged


@dataclass(frozen=True)
class ScoredShard:
    """The note of a finished shard.

    digest: SHA-256 of the content of its rows. part_sha256, facts_sha256: of its scores file and
    its summary file. unusable: number of rows that could not be judged. first_unusable: where some
    of them are, and why.
    """

    index: int
    start: int
    stop: int
    digest: str
    part_sha256: str
    facts_sha256: str
    unusable: int
    first_unusable: Sequence[str]


@dataclass(frozen=True)
class ScoredShards:
    """The outcome of all shards of a night.

    parts: folder with their files. notes: of the finished shards, in order.
    failed: (shard, reason) for each shard that could not be scored, or not all of its rows.
    total: number of all shards. A broken file counts as a shard.
    """

    parts: Path
    notes: Sequence[ScoredShard]
    failed: Sequence[tuple[str, str]]
    total: int

    @property
    def unusable(self) -> int:
        """Number of rows in finished shards that could not be judged."""
        return sum(note.unusable for note in self.notes)

    @property
    def digest(self) -> str:
        """SHA-256 of the content of all scored rows."""
        return combine_digests([note.digest for note in self.notes])


def score_shards(
    run: NightRun, source: Source, run_all: RunAll, *, fingerprint: str
) -> ScoredShards:
    """Score all shards, except those finished by an earlier run of this input and model."""
    shards = plan_shards(source, run.job.data.shard_bytes)
    summarizer = Summarizer(
        model=run.model,
        by=run.job.score.by,
        threshold=run.groups.cut if run.groups else run.job.score.rule.threshold(run.calibration),
        keep=run.keep,
        groups=run.groups,
    )
    scorer = ShardScorer(
        summarizer=summarizer,
        source=source,
        work=parts_folder(run, fingerprint),
        max_rows=rows_per_chunk(source, run.job.score.memory, batch=run.model.size),
    )
    notes, failed = run_shards(scorer, shards, run_all)
    left_out = [*unusable_rows(run, notes), *broken_files(run, source)]
    for part, why in left_out:
        log.warning("%s: %s", part, why)
    failures = [*failure_reasons(run, failed), *left_out]
    return ScoredShards(scorer.work, notes, failures, len(shards) + len(source.broken))


def parts_folder(run: NightRun, fingerprint: str) -> Path:
    """Return the folder of finished shards; delete shards of another input, model or settings."""
    key = f"{fingerprint} {run.model_id} {run.settings_digest} {COLUMNS}"
    parts = run.work / f"parts-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    for other in run.work.glob("*"):
        if other != parts:
            shutil.rmtree(other, ignore_errors=True)
    parts.mkdir(parents=True, exist_ok=True)
    return parts


def failure_reasons(run: NightRun, failed: Sequence[FailedShards]) -> list[tuple[str, str]]:
    """Name each failed shard by its rows, and give the reason."""
    reasons = []
    for group in failed:
        why = run.without_folder(str(group.error))
        for shard in group.shards:
            reasons.append((shard_label(shard), why))
    return reasons


def unusable_rows(run: NightRun, notes: Sequence[ScoredShard]) -> list[tuple[str, str]]:
    """Name each shard with rows that could not be judged, and where the first of them are."""
    reasons = []
    for note in notes:
        if note.unusable:
            rows = "row" if note.unusable == 1 else "rows"
            first = run.without_folder("; ".join(note.first_unusable))
            more = "; …" if note.unusable > len(note.first_unusable) else ""
            why = f"{note.unusable:,} {rows} could not be judged: {first}{more}"
            reasons.append((shard_label(note), why))
    return reasons


def shard_label(shard: Shard | ScoredShard) -> str:
    """Return the name of a shard in reports."""
    return f"shard {shard.index}, rows {shard.start:,} to {shard.stop:,}"


def broken_files(run: NightRun, source: Source) -> list[tuple[str, str]]:
    """Name each file that could not be opened, and give the reason."""
    return [(f"file {name}", run.without_folder(why)) for name, why in source.broken]


class Unusable:
    """The rows of one shard that cannot be judged: their number, and why for the first of them."""

    def __init__(self, source: Source) -> None:
        self.count = 0
        self.first: list[str] = []
        self._source = source

    def left_out(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """Yield the usable rows of each chunk, if it has any."""
        for chunk in chunks:
            if chunk.usable is not None:
                self._note(chunk, np.flatnonzero(~chunk.usable))
            part = chunk.usable_part()
            if len(part.rows):
                yield part

    def _note(self, chunk: Chunk, indices: NDArray[np.int64]) -> None:
        self.count += len(indices)
        for index in indices[: MOST_UNUSABLE - len(self.first)].tolist():
            self.first.append(self._source.why_unusable(chunk, index))


@dataclass(frozen=True)
class ShardScorer(ShardJob[ScoredShard]):
    """Scores shards into the `work` folder, in chunks of at most `max_rows` rows."""

    summarizer: Summarizer
    source: Source
    work: Path
    max_rows: int

    def finished(self, shard: Shard) -> ScoredShard | None:
        """Return the note of a shard finished by an earlier run."""
        return finished_shard(self.work, shard)

    def run_shard(self, shard: Shard, chunks: Iterable[Chunk]) -> ScoredShard:
        """Score one shard: write its scores and its summary, then its note."""
        part = self.work / part_name(shard.index)
        digest, unusable = RowsDigest(), Unusable(self.source)
        summary: ShardSummary | None = None
        with (
            write_beside(part) as beside,
            ScoreWriter(beside, text_ids=self.source.text_ids) as writer,
        ):
            for chunk, scores, scaled in self._scored(unusable.left_out(chunks)):
                self._write_scores(writer, chunk, scores)
                digest.update(chunk.rows, chunk.ids)
                found = self.summarizer.summarize(chunk, scores, scaled)
                summary = summary.merge(found) if summary else found
        if summary is None:
            raise SourceError(unusable.first[0])
        saved = summary_path(self.work, shard.index)
        with write_beside(saved) as beside:
            summary.save(beside)
        return self._write_note(shard, digest.hexdigest(), unusable, (part, saved))

    def _scored(
        self, chunks: Iterable[Chunk]
    ) -> Iterator[tuple[Chunk, dict[str, NDArray[np.float64]], NDArray[np.float32]]]:
        """Yield each chunk with each of SCORES (n,) and its rows in scaled units (n, d).

        Small chunks are scored together.
        """
        for group in join_chunks(chunks, self.max_rows):
            scores, scaled = self.summarizer.model.scale_and_score(rows_of_group(group))
            first = 0
            for chunk in group:
                part = slice(first, first + len(chunk.rows))
                found = (each[part] for each in scores)
                yield chunk, dict(zip(SCORES, found, strict=True)), scaled[part]
                first = part.stop

    def _write_scores(
        self, writer: ScoreWriter, chunk: Chunk, scores: dict[str, NDArray[np.float64]]
    ) -> None:
        """Append the scores of a chunk to the file, with p-values."""
        chances = self.summarizer.p_values(chunk, scores)
        writer.append(chunk.row_numbers, chunk.ids, chunk.file, scores, chances)

    def _write_note(
        self, shard: Shard, digest: str, unusable: Unusable, files: tuple[Path, Path]
    ) -> ScoredShard:
        part, saved = files
        note = ScoredShard(
            index=shard.index,
            start=shard.start,
            stop=shard.stop,
            digest=digest,
            part_sha256=sha256_file(part),
            facts_sha256=sha256_file(saved),
            unusable=unusable.count,
            first_unusable=tuple(unusable.first),
        )
        write_json(note_path(self.work, shard.index), asdict(note))
        return note


def summary_path(work: Path, index: int) -> Path:
    """Path of a shard's summary, kept until the night is published."""
    return work / f"facts-{index:05d}.npz"


def note_path(work: Path, index: int) -> Path:
    """Path of the note that marks a shard as finished."""
    return work / f"note-{index:05d}.json"


def finished_shard(work: Path, shard: Shard) -> ScoredShard | None:
    """Return the note of a finished shard; None if the shard must be scored (again)."""
    path = note_path(work, shard.index)
    if not path.exists():
        return None
    note = ScoredShard(**json.loads(path.read_text(encoding="utf-8")))
    files = (
        (work / part_name(shard.index), note.part_sha256),
        (summary_path(work, shard.index), note.facts_sha256),
    )
    whole = all(file.exists() and sha256_file(file) == digest for file, digest in files)
    same_rows = (note.start, note.stop) == (shard.start, shard.stop)
    return note if whole and same_rows else None
