"""Ids that several rows of a night have, counted in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.nights.scores import iter_scores
from storage.visible_text import visible_name

BYTES_PER_ID = 32  # a hash, its sorted copy, and what a pass compares
FEWEST_IDS = 1 << 16  # of one pass


@dataclass(frozen=True)
class RepeatedIds:
    """rows: number of rows whose id another row has too. first: the id of the first such row."""

    rows: int
    first: str

    def to_text(self) -> str:
        """Return a note for the report."""
        return (
            f"ids repeat: {self.rows:,} rows share their id with another row, "
            f"first '{visible_name(self.first)}'; label such rows by their row number"
        )


def find_repeated_ids(folder: Path, *, rows: int, memory: int) -> RepeatedIds | None:
    """Find rows of a night that share their id with another; None if all ids are distinct.

    rows: number of rows. memory: byte budget; more rows than fit are compared in several passes.
    """
    passes = 1 + rows // max(FEWEST_IDS, memory // BYTES_PER_ID)
    repeated = [_repeated_hashes(folder, index, passes) for index in range(passes)]
    total = sum(count for _, count in repeated)
    if not total:
        return None
    return RepeatedIds(total, _first_id(folder, np.concatenate([found for found, _ in repeated])))


def _repeated_hashes(folder: Path, index: int, passes: int) -> tuple[NDArray[np.int64], int]:
    """Return the hashes of one pass that occur more than once, and the number of their rows."""
    parts = [hashes[hashes % passes == index] for hashes, _ in _hashed(folder)]
    found, counts = np.unique(np.concatenate(parts), return_counts=True)
    return found[counts > 1], int(counts[counts > 1].sum())


def _hashed(folder: Path) -> Iterator[tuple[NDArray[np.int64], list[object]]]:
    """Yield 64-bit hashes of the ids, and the ids, in row order; whole numbers are their own."""
    for batch in iter_scores(folder, ("id",)):
        column = batch.column("id")
        ids: list[object] = column.to_pylist()
        if pa.types.is_integer(column.type):
            yield column.to_numpy(), ids
        else:
            yield np.fromiter(map(hash, ids), np.int64, len(ids)), ids


def _first_id(folder: Path, repeated: NDArray[np.int64]) -> str:
    for hashes, ids in _hashed(folder):
        matches = np.flatnonzero(np.isin(hashes, repeated))
        if len(matches):
            return str(ids[matches[0]])
    raise AssertionError("a repeated hash is the hash of an id")
