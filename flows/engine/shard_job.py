"""Work done shard by shard: skip finished shards, do the others, collect the failed ones."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Generic, Protocol, TypeVar

from flows.engine.progress import Part, counted, counting_for, part, rows_done
from flows.engine.run_all import RunAll
from flows.engine.shard_tasks import group_shards, read_shards
from flows.errors import unexpected
from storage.sources import Chunk, Shard, Source

log = logging.getLogger(__name__)


class ShardNote(Protocol):
    """The record of a finished shard."""

    @property
    def index(self) -> int:
        """The shard's index."""
        ...


Note = TypeVar("Note", bound=ShardNote)


@dataclass(frozen=True)
class FailedShards:
    """Consecutive shards whose task failed, and the error."""

    shards: tuple[Shard, ...]
    error: BaseException | None


class ShardJob(ABC, Generic[Note]):
    """Does one shard of `source` at a time, in chunks of at most `max_rows` rows.

    what: that it does, for those who watch.
    """

    what: ClassVar[str]
    source: Source
    max_rows: int

    @abstractmethod
    def finished(self, shard: Shard) -> Note | None:
        """Return the note of a shard finished by an earlier run; None if it is still to do."""

    @abstractmethod
    def run_shard(self, shard: Shard, chunks: Iterable[Chunk]) -> Note:
        """Do one shard: write its files, then its note."""

    def run_group(self, shards: Sequence[Shard], *, running: Part | None = None) -> list[Note]:
        """Do consecutive shards, except those finished by an earlier run."""
        notes = {shard.index: note for shard in shards if (note := self.finished(shard))}
        missing = [shard for shard in shards if shard.index not in notes]
        with counting_for(running):
            rows_done(n_rows_of(shards) - n_rows_of(missing), before=True)
            for shard, chunks in read_shards(self.source, missing, self.max_rows):
                notes[shard.index] = self.run_shard(shard, counted(chunks))
        return [notes[shard.index] for shard in shards]


def n_rows_of(shards: Iterable[Shard]) -> int:
    """Return the number of rows in shards."""
    return sum(shard.stop - shard.start for shard in shards)


def run_shards(
    job: ShardJob[Note], shards: Sequence[Shard], run_all: RunAll
) -> tuple[list[Note], list[FailedShards]]:
    """Do all shards. Return the notes of finished shards and the failures, both by index."""
    notes: list[Note] = []
    failed: list[FailedShards] = []
    with part(job.what, n_rows_of(shards)) as running:
        work = partial(job.run_group, running=running)
        for outcome in run_all(work, group_shards(job.source, shards)):
            if outcome.error is None and outcome.value is not None:
                notes += outcome.value
            else:
                log.error("%s", outcome.error, exc_info=unexpected(outcome.error))
                failed.append(FailedShards(outcome.item, outcome.error))
    notes.sort(key=lambda note: note.index)
    failed.sort(key=lambda each: each.shards[0].index)
    return notes, failed
