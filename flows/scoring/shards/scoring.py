"""Score the shards of one night; finished shards are kept until the night is published."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from aemodel.scores.p_values import ranks
from flows.engine.run_all import RunAll
from flows.engine.shard_job import FailedShards, ShardJob, n_rows_of, run_shards
from flows.engine.shard_tasks import join_chunks, rows_of_group, rows_per_chunk
from flows.scoring.night_run import NightRun
from flows.scoring.series.shards import SeriesShardScorer
from flows.scoring.shards.notes import (
    ScoredShard,
    Unusable,
    finished_shard,
    summary_path,
    write_note,
)
from flows.scoring.shards.summary import ScoredChunk, ShardSummary, Summarizer
from storage.errors import SourceError
from storage.files.atomic import write_beside
from storage.nights.scores import COLUMNS, ScoreWriter, part_name
from storage.sources import Chunk, RowsDigest, Shard, Source, combine_digests, plan_shards
from storage.sources.series.source import SeriesSource

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoredShards:
    """The outcome of all shards of a night.

    parts: folder with their files. notes: of the finished shards, in order.
    failed: (shard, reason) for each shard that could not be scored, or not all of its rows.
    total: number of all shards. A broken file counts as a shard.
    unread: rows of shards that could not be scored. files: of the input. broken_files: those of
    them whose rows are not counted.
    """

    parts: Path
    notes: Sequence[ScoredShard]
    failed: Sequence[tuple[str, str]]
    total: int
    unread: int
    files: int
    broken_files: int

    @property
    def unusable(self) -> int:
        """Number of rows in finished shards that could not be judged."""
        return sum(note.unusable for note in self.notes)

    @property
    def digest(self) -> str:
        """Digest of the content of all scored rows."""
        return combine_digests([note.digest for note in self.notes])


def score_shards(
    run: NightRun, source: Source, run_all: RunAll, *, fingerprint: str
) -> ScoredShards:
    """Score all shards, except those finished by an earlier run of this input and model."""
    shards = plan_shards(source, run.job.data.shard_bytes)
    scorer = _scorer(run, source, parts_folder(run, fingerprint))
    notes, failed = run_shards(scorer, shards, run_all)
    left_out = [*unusable_rows(run, notes), *broken_files(run, source)]
    for part, why in left_out:
        log.warning("%s: %s", part, why)
    failures = [*failure_reasons(run, failed), *left_out]
    return ScoredShards(
        parts=scorer.work,
        notes=notes,
        failed=failures,
        total=len(shards) + len(source.broken),
        unread=sum(n_rows_of(group.shards) for group in failed),
        files=len(source.files) + len(source.broken),
        broken_files=len(source.broken),
    )


def _scorer(run: NightRun, source: Source, work: Path) -> ShardScorer | SeriesShardScorer:
    max_rows = rows_per_chunk(source, run.job.score.memory, batch=run.model.size)
    if run.model.series is not None:
        assert isinstance(source, SeriesSource), "the input of a job with [series]"
        return SeriesShardScorer(run.model.series, source, work, max_rows)
    summarizer = Summarizer(
        model=run.model,
        by=run.job.score.by,
        threshold=run.groups.cut if run.groups else run.job.score.rule.threshold(run.calibration),
        keep=run.keep,
        groups=run.groups,
    )
    return ShardScorer(
        summarizer=summarizer,
        source=source,
        work=work,
        max_rows=max_rows,
        computed=run.job.score.computed,
    )


def parts_folder(run: NightRun, fingerprint: str) -> Path:
    """Return the folder of finished shards; delete shards of another input, model or settings."""
    computed = run.job.score.computed
    key = f"{fingerprint} {run.model_id} {run.settings_digest} {COLUMNS} {computed}"
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


@dataclass(frozen=True)
class ShardScorer(ShardJob[ScoredShard]):
    """Scores shards into the `work` folder, in chunks of at most `max_rows` rows.

    computed: those of SCORES that are computed and written.
    """

    what = "scoring"
    summarizer: Summarizer
    source: Source
    work: Path
    max_rows: int
    computed: Sequence[str]

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
            for scored in self._scored(unusable.left_out(chunks)):
                self._write_scores(writer, scored)
                digest.update(scored.chunk.rows, scored.chunk.ids)
                found = self.summarizer.summarize(scored, summary)
                summary = summary.merge(found) if summary else found
        if summary is None:
            raise SourceError(unusable.first[0])
        saved = summary_path(self.work, shard.index)
        with write_beside(saved) as beside:
            summary.save(beside)
        return write_note(self.work, shard, digest.hexdigest(), unusable)

    def _scored(self, chunks: Iterable[Chunk]) -> Iterator[ScoredChunk]:
        """Yield each chunk with its scores; small chunks are scored together."""
        summarizer = self.summarizer
        for group in join_chunks(chunks, self.max_rows):
            scores, scaled = summarizer.model.scale_and_score(rows_of_group(group), self.computed)
            found = ranks(summarizer.calibration, scores[summarizer.by])
            first = 0
            for chunk in group:
                part = slice(first, first + len(chunk.rows))
                theirs = {name: each[part] for name, each in scores.items()}
                yield ScoredChunk(chunk, theirs, scaled[part], found[part])
                first = part.stop

    def _write_scores(self, writer: ScoreWriter, scored: ScoredChunk) -> None:
        """Append the scores of a chunk to the file, with p-values."""
        chunk, chances = scored.chunk, self.summarizer.p_values(scored)
        writer.append(chunk.row_numbers, chunk.ids, chunk.file, scored.scores, chances)
