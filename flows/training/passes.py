"""Passes over the clean rows, with a digest of what was read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from aemodel.rows.training_rows import ReadShuffled
from storage.sources import RowsDigest, Source

CHUNKS_A_PIECE = 4  # read in order at a random place of the source


class DigestedPasses:
    """Callable that starts a pass over the source's rows; the first full pass takes a digest.

    max_rows: rows per chunk, at most. digest: SHA-256 of the rows, '' before the first full pass.
    """

    def __init__(self, source: Source, max_rows: int) -> None:
        self.source, self.max_rows, self.digest = source, max_rows, ""

    def __call__(self) -> Iterator[NDArray[np.generic]]:
        """Yield arrays (n, *row_shape) in source order."""
        digest = RowsDigest()
        for chunk in self.source.chunks(max_rows=self.max_rows):
            if not self.digest:
                digest.update(chunk.rows, chunk.ids)
            yield chunk.rows
        self.digest = self.digest or digest.hexdigest()

    def shuffled(self) -> ReadShuffled | None:
        """Return a reader of pieces in random order; None if the source reads in order only."""
        return None if self.source.sequential else self._read_shuffled

    def _read_shuffled(self, seed: int) -> Iterator[tuple[int, NDArray[np.generic]]]:
        starts = range(0, self.source.n_rows, self.max_rows * CHUNKS_A_PIECE)
        for place in np.random.default_rng(seed).permutation(len(starts)):
            stop = starts[place] + self.max_rows * CHUNKS_A_PIECE
            for chunk in self.source.chunks(starts[place], stop, max_rows=self.max_rows):
                yield chunk.start, chunk.rows
