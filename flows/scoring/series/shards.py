"""Score the shards of a night of series."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aemodel.series.model import SeriesModel
from flows.engine.progress import rows_done
from flows.engine.shard_job import ShardJob
from flows.scoring.series.digest import SeriesDigest
from flows.scoring.series.gaps import Gaps
from flows.scoring.series.ranges import ScoredRange, score_range
from flows.scoring.series.summary import SeriesSummary
from flows.scoring.series.timeline import Bins, Highest
from flows.scoring.series.warmup import Judges
from flows.scoring.shards.notes import (
    ScoredShard,
    Unusable,
    finished_shard,
    summary_path,
    write_note,
)
from storage.errors import SourceError
from storage.files.atomic import write_beside
from storage.nights.scores import part_name
from storage.nights.series.points import PointKinds, Points, PointWriter
from storage.sources import Chunk, Shard, relative_names
from storage.sources.series.source import SeriesSource

LEAST_ROWS = 16_384  # read at once, so that the rows around them cost little


@dataclass(frozen=True)
class SeriesShardScorer(ShardJob[ScoredShard]):
    """Scores shards into the `work` folder, in ranges of at most `max_rows` rows.

    Every range is read with the rows around it, which windows need, so that the scores do not
    depend on where shards begin.
    """

    what = "scoring"
    model: SeriesModel
    source: SeriesSource
    work: Path
    max_rows: int

    @cached_property
    def judges(self) -> Judges:
        """What judges each entity."""
        return Judges(self.model, self.source)

    @cached_property
    def bins(self) -> Bins:
        """Bins of time for the timeline."""
        return night_bins(self.source)

    @cached_property
    def kinds(self) -> PointKinds:
        """How ids and times are kept."""
        return PointKinds(self.source.text_ids, self.source.has_timestamps)

    def finished(self, shard: Shard) -> ScoredShard | None:
        """Return the note of a shard finished by an earlier run."""
        return finished_shard(self.work, shard)

    def run_shard(self, shard: Shard, chunks: Iterable[Chunk]) -> ScoredShard:  # noqa: ARG002
        """Score one shard: write its scores and its summary, then its note.

        It reads its rows itself, with those around them, and not from `chunks`.
        """
        part, saved = self.work / part_name(shard.index), summary_path(self.work, shard.index)
        digest, unusable, summary = (
            SeriesDigest(self.source),
            Unusable(self.source),
            SeriesSummary.none(),
        )
        names = relative_names(self.source.path, [*self.source.files])
        with (
            write_beside(part) as beside,
            PointWriter(
                beside, self.kinds, files=names, entities=[*self.source.entities, ""]
            ) as writer,
        ):
            size = max(LEAST_ROWS, self.max_rows)
            for start in range(shard.start, shard.stop, size):
                found = self._score(start, min(start + size, shard.stop), unusable)
                summary = summary.merge(self._summarize(found))
                self._write(writer, digest, found)
                rows_done(min(size, shard.stop - start))
        if not summary.rows and unusable.first:
            raise SourceError(unusable.first[0])
        with write_beside(saved) as beside:
            summary.save(beside)
        return write_note(self.work, shard, digest.hexdigest(), unusable)

    def _score(self, start: int, stop: int, unusable: Unusable) -> ScoredRange:
        found = score_range(self.judges, start, stop, above=self.model.calibration.ordinary)
        if not found.rows.usable.all():
            for chunk in self.source.chunks(start, stop, max_rows=stop - start):
                if chunk.usable is not None:
                    unusable.note(chunk, np.flatnonzero(~chunk.usable & ~_context(chunk)))
        return found

    def _summarize(self, found: ScoredRange) -> SeriesSummary:
        own = _own_rows(found)
        scores, series = found.scores[own], found.rows.series.pick(own)
        judged = ~np.isnan(scores)
        uncovered = int((found.rows.usable[own] & ~judged).sum())
        highest = Highest.of(series.entities, self.bins.of(series.times), scores)
        rows = found.rows.rows[own][judged]
        gaps = Gaps.of(series.entities[judged], rows, self.model.scorer.window)
        return SeriesSummary(int(judged.sum()), uncovered, found.runs, highest, gaps)

    def _write(self, writer: PointWriter, digest: SeriesDigest, found: ScoredRange) -> None:
        """Append the scores of the night's own rows, and digest what they rest on."""
        own, rows = _own_rows(found), found.rows
        series, scores = rows.series.pick(own), found.scores[own]
        ids = None if rows.ids is None else rows.ids[own]
        writer.append(
            Points(
                ids=ids,
                rows=rows.numbers[own],
                files=series.files,
                entities=np.where(
                    series.entities < 0, np.int32(len(self.source.entities)), series.entities
                ),
                times=series.times if self.kinds.timestamps else series.times.astype(np.float64),
                scores=scores,
                p_values=self.model.calibration.p_values(scores),
            )
        )
        digest.update(rows)


def _context(chunk: Chunk) -> NDArray[np.bool_]:
    assert chunk.series is not None, "rows in series order"
    return chunk.series.context


def _own_rows(found: ScoredRange) -> NDArray[np.bool_]:
    """Return which rows are those of the night, each once: not of the night before, or held."""
    return ~found.rows.series.context & ~found.held


def night_bins(source: SeriesSource) -> Bins:
    """Cut the time of a night into bins."""
    return Bins.between(*source.span)
