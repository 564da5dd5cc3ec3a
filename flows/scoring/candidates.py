"""The rows of a night that may need explaining: the highest scores with everything known of them.

Merging is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aemodel.decisions.ranking import Ranking, best_first
from storage.sources import Chunk

ARRAYS = ("scores", "rows", "ids", "files", "values")


@dataclass(frozen=True)
class Candidates:
    """At most `keep` rows in the order of rank: score descending, row ascending.

    scores (n,) float64; rows (n,) int64; ids (n,) text; files (n,) text; values (n, *row_shape) in
    the source's dtype.
    """

    keep: int
    scores: NDArray[np.float64]
    rows: NDArray[np.int64]
    ids: NDArray[np.str_]
    files: NDArray[np.str_]
    values: NDArray[Any]

    @classmethod
    def of_chunk(cls, keep: int, chunk: Chunk, scores: NDArray[np.float64]) -> Candidates:
        """The highest `keep` rows of one chunk, with their scores (n,)."""
        rows = np.arange(chunk.start, chunk.start + len(scores))
        best = best_first(scores, rows, keep)
        ids = rows[best] if chunk.ids is None else chunk.ids[best]
        files = np.full(len(best), chunk.file)
        return cls(
            keep,
            scores[best],
            rows[best],
            ids.astype(np.str_),
            files.astype(np.str_),
            chunk.rows[best],
        )

    @classmethod
    def none(cls, keep: int) -> Candidates:
        """No rows."""
        text = np.empty(0, np.str_)
        return cls(keep, np.empty(0), np.empty(0, np.int64), text, text, np.empty(0))

    def merge(self, other: Candidates) -> Candidates:
        """The highest rows of both."""
        scores, rows = (
            np.concatenate([self.scores, other.scores]),
            np.concatenate([self.rows, other.rows]),
        )
        best = best_first(scores, rows, self.keep)
        return Candidates(
            self.keep,
            scores[best],
            rows[best],
            np.concatenate([self.ids, other.ids])[best],
            np.concatenate([self.files, other.files])[best],
            np.concatenate([self.values, other.values])[best],
        )

    @property
    def ranking(self) -> Ranking:
        """The scores and rows alone."""
        return Ranking(self.keep, self.scores, self.rows)

    def arrays(self, prefix: str) -> dict[str, Any]:
        """Everything but `keep`, by name, for an .npz file."""
        return {f"{prefix}.{name}": getattr(self, name) for name in ARRAYS}

    @classmethod
    def of_arrays(cls, keep: int, prefix: str, arrays: Mapping[str, Any]) -> Candidates:
        """What `arrays` gave out."""
        return cls(keep, *(arrays[f"{prefix}.{name}"] for name in ARRAYS))
