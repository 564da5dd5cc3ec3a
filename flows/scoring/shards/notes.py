"""Notes of finished shards: files in the work folder that say what was scored."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from storage.files.atomic import sha256_file, write_json
from storage.nights.scores import part_name
from storage.sources import Chunk, Shard, Source

MOST_UNUSABLE = 5  # named rows per shard that could not be judged


@dataclass(frozen=True)
class ScoredShard:
    """The note of a finished shard.

    digest: of the content of its rows, see `RowsDigest`. part_sha256, facts_sha256: of its scores
    file and its summary file. unusable: number of rows that could not be judged. first_unusable:
    where some of them are, and why.
    """

    index: int
    start: int
    stop: int
    digest: str
    part_sha256: str
    facts_sha256: str
    unusable: int
    first_unusable: Sequence[str]


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
                self.note(chunk, np.flatnonzero(~chunk.usable))
            part = chunk.usable_part()
            if len(part.rows):
                yield part

    def note(self, chunk: Chunk, indices: NDArray[np.int64]) -> None:
        """Count the rows of a chunk at these places, and say why for the first of them."""
        self.count += len(indices)
        for index in indices[: MOST_UNUSABLE - len(self.first)].tolist():
            self.first.append(self._source.why_unusable(chunk, index))


def write_note(work: Path, shard: Shard, digest: str, unusable: Unusable) -> ScoredShard:
    """Write the note of a shard whose scores and summary are written."""
    note = ScoredShard(
        index=shard.index,
        start=shard.start,
        stop=shard.stop,
        digest=digest,
        part_sha256=sha256_file(work / part_name(shard.index)),
        facts_sha256=sha256_file(summary_path(work, shard.index)),
        unusable=unusable.count,
        first_unusable=tuple(unusable.first),
    )
    write_json(note_path(work, shard.index), asdict(note))
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
