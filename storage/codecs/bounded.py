"""Writes the blocks of a store with an error bound.

Each block uses the winner of the contest, or the next entry that holds the bound. The lossless
codec is always the last resort.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from storage.codecs import sz3
from storage.codecs.blocks import Bound, Codec, Predicted, encode_block
from storage.codecs.candidates import own_bound, rmse
from storage.codecs.grid import to_types
from storage.codecs.selection import Entry
from storage.errors import CodecError

log = logging.getLogger(__name__)
BLOCK_VALUES = 1 << 22
MOST_SHARE = 1e100  # of the RMSE bound; a larger share means no more
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
        contest = {entry.name: entry.store_bytes for entry in self.entries}
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

    rows: number of rows of each block. codecs: number of rows by codec. squared, values: sum of
    squared differences so far in units of the RMSE bound, and of how many finite values.
    """

    plan: BoundedPlan
    decode_exactly: Exactly
    blocks: list[bytes] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    codecs: dict[str, int] = field(default_factory=dict)
    squared: float = 0.0
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
            found = self._packed(entry, entry.codec, rows, predicted)
            if found is not None:
                yield found

    def _packed(
        self, entry: Entry, codec: Codec, rows: NDArray[np.generic], predicted: Predicted
    ) -> _Candidate | None:
        """Return the block of an entry; None if its codec fails or saves nothing."""
        try:
            bound = own_bound(entry.name, self.plan.bound)
            block, back = encode_block(codec, rows, predicted, bound)
        except CodecError as error:
            log.warning("%s is not used for a block of %d rows: %s", entry.name, len(rows), error)
            return None
        if len(block) <= rows.nbytes or entry.name.startswith("lossless"):
            return _Candidate(block, back, codec.name)
        return None

    def _as_read(
        self, predicted: NDArray[np.float64], rows: NDArray[np.generic]
    ) -> NDArray[np.generic]:
        return to_types(predicted, rows.dtype.name, self.plan.bound.types)

    def _keeps_budget(self, rows: NDArray[np.generic], back: NDArray[np.generic]) -> bool:
        """Count a block if all blocks so far, with this one, keep the RMSE within the bound."""
        if np.isinf(self.plan.bound.rmse):
            return True
        values = int(np.isfinite(rows).sum())
        share = min(rmse(rows, back) / self.plan.bound.rmse, MOST_SHARE)
        squared = self.squared + values * share**2
        if squared > self.values + values:
            return False
        self.squared, self.values = squared, self.values + values
        return True
