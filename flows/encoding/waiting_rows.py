"""Rows of a shard that wait: for their block, for being kept exactly, for a comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from storage.lossless import lossless_bytes

Rows = NDArray[np.generic]
Errors = NDArray[np.float64]


@dataclass
class LosslessSample:
    """Rows to be compressed losslessly, up to a budget in bytes."""

    budget: int
    pieces: list[Rows] = field(default_factory=list)
    bytes: int = 0

    def add(self, rows: Rows) -> None:
        """Keep as many of the rows as the budget allows."""
        taken = rows[: max(0, self.budget - self.bytes) // max(1, rows[:1].nbytes)]
        if len(taken):
            self.pieces.append(taken)
            self.bytes += taken.nbytes

    def lossless_bytes(self) -> int:
        """Bytes of the sample after lossless compression."""
        return lossless_bytes(np.concatenate(self.pieces)) if self.pieces else 0


Piece = tuple[Rows, NDArray[np.float32], Errors, NDArray[np.float64]]


@dataclass
class PendingRows:
    """Rows (n, d), their latents as stored, errors, and keys of entities, until they fill a block.

    Keys mean nothing where rows have no entities.
    """

    pieces: list[Piece] = field(default_factory=list)
    count: int = 0

    def add(self, piece: Piece) -> None:
        """Append rows."""
        self.pieces.append(piece)
        self.count += len(piece[0])

    def take(self, n: int) -> Piece:
        """Remove and return the first n rows, or all if there are fewer."""
        rows, latents, errors, keys = self._joined()
        self.pieces = [(rows[n:], latents[n:], errors[n:], keys[n:])] if len(rows) > n else []
        self.count = max(0, len(rows) - n)
        return rows[:n], latents[:n], errors[:n], keys[:n]

    def _joined(self) -> Piece:
        if len(self.pieces) == 1:
            return self.pieces[0]
        rows, latents, errors, keys = map(np.concatenate, zip(*self.pieces, strict=True))
        return rows, latents, errors, keys


@dataclass(frozen=True)
class KeptRows:
    """Rows that may be kept exactly.

    places: (m,) in the shard. values: (m, d). back: (m, d), what a reader would get. errors: (m,).
    lost: (m,), whether finite values would not come back as finite ones: such rows are kept.
    """

    places: NDArray[np.int64]
    values: Rows
    back: Rows
    errors: Errors
    lost: NDArray[np.bool_]

    @classmethod
    def join(cls, pieces: Sequence[KeptRows], row_size: int, dtype: str) -> KeptRows:
        """All pieces as one."""
        every = [cls.none(row_size, dtype), *pieces]
        return cls(
            places=np.concatenate([each.places for each in every]),
            values=np.concatenate([each.values for each in every]),
            back=np.concatenate([each.back for each in every]),
            errors=np.concatenate([each.errors for each in every]),
            lost=np.concatenate([each.lost for each in every]),
        )

    @classmethod
    def none(cls, row_size: int, dtype: str) -> KeptRows:
        """No rows."""
        none = np.empty((0, row_size), dtype)
        return cls(np.empty(0, np.int64), none, none, np.empty(0), np.empty(0, bool))

    def choose(self, most: int) -> NDArray[np.intp]:
        """Indices of the rows to keep, ascending: all lost ones, else the `most` worst."""
        order = np.lexsort((self.places, -self.errors, ~self.lost))
        return np.sort(order[: max(most, int(self.lost.sum()))])


def value_range(rows: Rows) -> tuple[float, float]:
    """Lowest and highest value of rows; gaps do not count, NaN if there is nothing else."""
    low, high = float(rows.min()), float(rows.max())
    if math.isnan(low):
        return float(np.fmin.reduce(rows, axis=None)), float(np.fmax.reduce(rows, axis=None))
    return low, high


def rows_with_gaps(rows: Rows) -> NDArray[np.bool_]:
    """Which rows (n,) contain NaN."""
    if rows.dtype.kind != "f" or not np.isnan(rows.min(initial=0)):
        return np.zeros(len(rows), bool)
    return np.asarray(np.isnan(rows).any(axis=1))


def lost_rows(rows: Rows, back: Rows) -> NDArray[np.bool_]:
    """Which rows (n,) have finite values that do not come back as finite ones."""
    finite = np.isfinite(back)
    if finite.all():
        return np.zeros(len(rows), bool)
    return np.asarray((np.isfinite(rows) & ~finite).any(axis=1))


def finite_mean(errors: Errors) -> float:
    """Mean of the finite errors; 0 if there are none."""
    finite = errors[np.isfinite(errors)]
    return float(finite.mean()) if len(finite) else 0.0
