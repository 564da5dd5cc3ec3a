"""Passes over the clean rows, without those that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aemodel.rows.blocks import CleanBlocks
from aemodel.rows.hashes import content_hashes
from aemodel.rows.training_rows import ReadShuffled
from flows.engine.progress import Part, part
from flows.engine.shard_tasks import join_chunks, rows_of_group
from flows.training.rows.block_files import SourceBlocks
from storage.sources import BROKEN_CELLS, Chunk, RowsDigest, Source

CHUNKS_A_PIECE = 4  # read in order at a random place of the source


class DigestedPasses:
    """Callable that starts a pass over the source's rows; the first full pass takes a digest.

    Rows in which a cell is no number or time are left out of every pass, and so are confirmed
    outliers: rows whose content has one of the hashes `outliers`.

    max_rows: rows per chunk, at most. digest: of the rows, '' before the first full pass.
    blocks: of the rows, as far as they are known; they number the rows of the latest chunk of the
        latest pass only.
    """

    def __init__(
        self,
        source: Source,
        max_rows: int,
        blocks: SourceBlocks | None = None,
        *,
        outliers: Sequence[int] = (),
    ) -> None:
        self.source, self.max_rows, self.digest = source, max_rows, ""
        self._outliers, self._n_outliers = np.array(outliers, np.uint64), 0
        self._broken = np.empty(0, np.int64)  # row numbers, ascending; known after a full pass
        self._of_blocks = blocks
        self.blocks = (
            CleanBlocks(blocks.kind, blocks.names, self._numbers_between) if blocks else None
        )
        self._first, self._numbers = 0, np.empty(0, np.intp)  # of the latest chunk

    def __call__(self) -> Iterator[NDArray[np.generic]]:
        """Yield arrays (n, *row_shape) in source order."""
        with part("reading clean rows", self.source.n_rows) as running:
            yield from self._pass(running)

    def _pass(self, running: Part) -> Iterator[NDArray[np.generic]]:
        digest, broken, first = RowsDigest(), [np.empty(0, np.int64)], 0
        chunks = self.source.chunks(max_rows=self.max_rows, pass_broken=True)
        for group in join_chunks(chunks, self.max_rows):
            marked = [self._with_outliers(chunk) for chunk in group]
            whole = list(map(_without_broken, marked))
            if not self.digest:
                broken += map(_broken_rows, marked)
                self._n_outliers += _n_broken(marked) - _n_broken(group)
                for chunk in whole:
                    digest.update(chunk.rows, chunk.ids)
            rows = rows_of_group(whole)
            if self._of_blocks:
                numbers = map(self._of_blocks.numbers, whole)
                self._first, self._numbers = first, np.concatenate([*numbers])
            yield rows
            first += len(rows)
            running.advance(sum(len(chunk.rows) for chunk in group))
        if not self.digest:
            self.digest, self._broken = digest.hexdigest(), np.concatenate(broken)

    def _with_outliers(self, chunk: Chunk) -> Chunk:
        """Mark the rows of a chunk that are confirmed outliers as broken."""
        if not len(self._outliers):
            return chunk
        found = np.isin(content_hashes(chunk.rows), self._outliers)
        broken = found if chunk.broken is None else chunk.broken | found
        return replace(chunk, broken=broken) if found.any() else chunk

    def _numbers_between(self, start: int, stop: int) -> NDArray[np.intp]:
        first, last = start - self._first, stop - self._first
        assert 0 <= first <= last <= len(self._numbers), "rows of the latest chunk"
        return self._numbers[first:last]

    def shuffled(self) -> ReadShuffled | None:
        """Return a reader of pieces in random order; None if the source reads in order only.

        Rows with broken cells are not numbered as in a pass: a source that has any is read in
        order, and so is one that may hold confirmed outliers.
        """
        left_out = BROKEN_CELLS in self.source.facts or len(self._outliers)
        in_order = self.source.sequential or left_out
        return None if in_order else self._read_shuffled

    def _read_shuffled(self, seed: int) -> Iterator[tuple[int, NDArray[np.generic]]]:
        starts = range(0, self.source.n_rows, self.max_rows * CHUNKS_A_PIECE)
        for place in np.random.default_rng(seed).permutation(len(starts)):
            stop = starts[place] + self.max_rows * CHUNKS_A_PIECE
            for chunk in self.source.chunks(starts[place], stop, max_rows=self.max_rows):
                yield chunk.start, chunk.rows

    @property
    def not_read(self) -> dict[str, str]:
        """Columns, files and rows that no pass yields, by what they are."""
        cells = self.source.facts.get(BROKEN_CELLS, "")
        found = dict(self.source.not_read)
        if n_broken := len(self._broken) - self._n_outliers:
            found["clean rows left out"] = f"{n_broken:,}, each with an unreadable cell: {cells}"
        elif cells:
            found["unreadable cells, read as gaps"] = cells
        if self._n_outliers:
            found["confirmed outliers left out"] = f"{self._n_outliers:,}, by their labels"
        return found

    def source_rows(self, counted: Sequence[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
        """Turn rows as counted in a pass, each with a value, into row numbers of the source."""
        before = self._broken - np.arange(len(self._broken))  # whole rows before each broken one
        return tuple(
            (row + int(np.searchsorted(before, row, side="right")), value) for row, value in counted
        )


def _without_broken(chunk: Chunk) -> Chunk:
    """The rows of a chunk that are whole; they are not consecutive."""
    if chunk.broken is None:
        return chunk
    ids = None if chunk.ids is None else chunk.ids[~chunk.broken]
    blocks = None if chunk.blocks is None else chunk.blocks[~chunk.broken]
    rows = chunk.rows[~chunk.broken]
    return replace(chunk, rows=rows, ids=ids, broken=None, blocks=blocks)


def _n_broken(group: Sequence[Chunk]) -> int:
    return sum(int(chunk.broken.sum()) for chunk in group if chunk.broken is not None)


def _broken_rows(chunk: Chunk) -> NDArray[np.int64]:
    if chunk.broken is None:
        return np.empty(0, np.int64)
    return np.flatnonzero(chunk.broken) + chunk.start
