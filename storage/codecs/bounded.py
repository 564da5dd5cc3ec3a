"""Writes the blocks of a store with an error bound.

Each block uses the winner of the contest, or the next entry that holds the bound. The lossless
codec is always the last resort.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from storage.codecs import sz3
from storage.codecs.blocks import Bound, encode_block
from storage.codecs.grid import to_types
from storage.codecs.selection import Entry, rmse

BLOCK_VALUES = 1 << 22
LATENTS = "latents"
Exactly = Callable[[NDArray[np.float32]], NDArray[np.float64]]


@dataclass(frozen=True)
class BoundedPlan:
    """The error bound of a store and the codecs that may hold it.

    asked: the bound as in the job file. bound: the same per column. entries: the contest's
    entries, the best first.
    """

    asked: Mapping[str, float]
    bound: Bound
    entries: Sequence[Entry]

    def to_json(self) -> dict[str, object]:
        """Return what the manifest lists."""
        contest = [{"codec": entry.name, "bytes": entry.store_bytes} for entry in self.entries]
        facts: dict[str, object] = {"bound": dict(self.asked), "contest": contest}
        if self.entries[0].name.startswith("sz3"):
            facts["hdf5plugin"] = sz3.version()
        return facts


def reads_latents(codecs: Iterable[str]) -> bool:
    """Return whether decoding blocks of these codecs reads latents and decoder."""
    return bool({LATENTS, "residual"} & set(codecs))


def block_rows(row_size: int) -> int:
    """Return the number of rows in a block."""
    return max(1, BLOCK_VALUES // max(1, row_size))


@dataclass(frozen=True)
class _Candidate:
    """A block, the rows (n, d) that a reader will get, and the codec that gives them."""

    block: bytes
    back: NDArray[np.generic]
    codec: str


@dataclass
class Blocks:
    """The blocks of one shard; an empty block means that its latents alone hold the bound.

    rows: number of rows of each block. codecs: number of rows by codec. norm, values: root of the
    sum of squared differences so far, and of how many finite values.
    """

    plan: BoundedPlan
    decode_exactly: Exactly
    blocks: list[bytes] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    codecs: dict[str, int] = field(default_factory=dict)
    norm: float = 0.0
    values: int = 0

    def add(
        self, rows: NDArray[np.generic], latents: NDArray[np.float32], *, unseen: bool
    ) -> NDArray[np.generic]:
        """Pack rows (n, d) with their latents (n, k) as stored.

        unseen: some values are missing, so latents alone cannot restore them. Returns the rows
        (n, d) that a reader will get.
        """
        for found in self._candidates(rows, latents, unseen=unseen):
            if self._keeps_budget(rows, found.back):
                self.blocks.append(found.block)
                self.rows.append(len(rows))
                self.codecs[found.codec] = self.codecs.get(found.codec, 0) + len(rows)
                return found.back
        raise AssertionError("the contest always has a lossless entry")

    @property
    def needed(self) -> bool:
        """Whether any block has bytes."""
        return any(self.blocks)

    def _candidates(
        self, rows: NDArray[np.generic], latents: NDArray[np.float32], *, unseen: bool
    ) -> Iterator[_Candidate]:
        """Yield the block by each codec that holds the tolerance, the best codec first."""
        predicted = None
        for entry in self.plan.entries:
            if entry.decodes_latents and predicted is None:
                predicted = self.decode_exactly(latents).reshape(len(rows), -1)
            if entry.codec is None:
                assert predicted is not None
                if not unseen:
                    yield _Candidate(b"", self._as_read(predicted, rows), LATENTS)
                continue
            block, back = encode_block(entry.codec, rows, predicted, self.plan.bound)
            if len(block) <= rows.nbytes or entry.name.startswith("lossless"):
                yield _Candidate(block, back, entry.codec.name)

    def _as_read(
        self, predicted: NDArray[np.float64], rows: NDArray[np.generic]
    ) -> NDArray[np.generic]:
        return to_types(predicted, rows.dtype.name, self.plan.bound.types)

    def _keeps_budget(self, rows: NDArray[np.generic], back: NDArray[np.generic]) -> bool:
        """Count a block if all blocks so far, with this one, keep the RMSE within the bound."""
        values = int(np.isfinite(rows).sum())
        norm = math.hypot(self.norm, math.sqrt(values) * rmse(rows, back))
        if norm > math.sqrt(self.values + values) * self.plan.bound.rmse:
            return False
        self.norm, self.values = norm, self.values + values
        return True
