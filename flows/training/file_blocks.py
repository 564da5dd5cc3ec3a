"""The files of a source as blocks, which train.split = "blocks" holds out whole.

Other blocks, such as the days of a time column, need the same two things: the names of all blocks
before the first pass, and the block of each row of a pass.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from aemodel.rows.blocks import CleanBlocks
from storage.sources import Source, relative_names


class FileRows:
    """Counts the rows that a pass yields of each file that holds any."""

    def __init__(self, source: Source) -> None:
        """Count all rows of every file, until `restart`."""
        sizes = np.diff(np.asarray(source.starts, np.int64))
        held = [file for file, size in zip(source.files, sizes, strict=False) if size]
        self._names = tuple(relative_names(source.path, held))
        self._starts = [start for start, stop in pairwise(source.starts) if stop > start]
        self._rows = sizes[sizes > 0]

    @property
    def blocks(self) -> CleanBlocks | None:
        """The files as blocks; None unless several hold rows."""
        return CleanBlocks("files", self._names, self.numbers) if len(self._names) > 1 else None

    def restart(self) -> None:
        """Count the rows of a pass that begins now."""
        self._rows = np.zeros(len(self._names), np.int64)

    def add(self, start: int, count: int) -> None:
        """Count rows of the file that holds the row `start` of the source."""
        if self._names:
            self._rows[bisect_right(self._starts, start) - 1] += count

    def numbers(self, start: int, stop: int) -> NDArray[np.intp]:
        """Return the file (n,) of each row from `start` up to `stop`, as the pass counts them."""
        return np.searchsorted(np.cumsum(self._rows), np.arange(start, stop), side="right")
