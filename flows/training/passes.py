"""Passes over the clean rows, with a digest of what was read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from storage.sources import RowsDigest, Source


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
