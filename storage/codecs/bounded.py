"""Blocks of a store with an error bound, as they are made.

The winner of the contest, else the runner-up, in the end without loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.codecs import sz3
from storage.codecs.blocks import Bound, encode_block
from storage.codecs.grid import to_dtype
from storage.codecs.selection import Entry, rmse

BLOCK_VALUES = 1 << 22
LATENTS = "latents"
Exactly = Callable[[NDArray[np.float32]], NDArray[np.float64]]


@dataclass(frozen=True)
class BoundedPlan:
    """What was asked for (as in the job file), the bound (d,) that follows, and the contest's entries, the best first."""

    asked: dict[str, float]
    bound: Bound
    entries: Sequence[Entry]

    def to_json(self) -> dict[str, Any]:
        """For the manifest."""
        ranking = [{"codec": entry.name, "bytes": entry.store_bytes} for entry in self.entries]
        used = {"hdf5plugin": sz3.version()} if self.entries[0].name.startswith("sz3") else {}
        return {"bound": self.asked, "contest": ranking, **used}


def block_rows(row_size: int) -> int:
    """Rows of a block."""
    return max(1, BLOCK_VALUES // max(1, row_size))


@dataclass
class Blocks:
    """The blocks of one shard. No bytes: the block's latents hold the bound by themselves."""

    plan: BoundedPlan
    decode_exactly: Exactly
    blocks: list[bytes] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    codecs: dict[str, int] = field(default_factory=dict)
    squared: float = 0.0
    values: int = 0

    def add(
        self, rows: NDArray[Any], latents: NDArray[np.float32], *, unseen: bool
    ) -> NDArray[Any]:
        """Pack rows (n, d) with their latents (n, k) as they are stored; return what a reader will get.

        unseen: some values are missing, so that latents alone cannot bring them back.
        """
        block, back, name = self._smallest_that_holds(rows, latents, unseen=unseen)
        self.blocks.append(block)
        self.rows.append(len(rows))
        self.codecs[name] = self.codecs.get(name, 0) + len(rows)
        return back

    @property
    def needed(self) -> bool:
        """Whether any block has bytes."""
        return any(self.blocks)

    def _smallest_that_holds(
        self, rows: NDArray[Any], latents: NDArray[np.float32], *, unseen: bool
    ) -> tuple[bytes, NDArray[Any], str]:
        bound, dtype = self.plan.bound, rows.dtype.name
        predicted = None
        for entry in self.plan.entries:
            if entry.decodes_latents and predicted is None:
                predicted = self.decode_exactly(latents).reshape(len(rows), -1)
            if entry.codec is None:
                assert predicted is not None
                block, back = b"", to_dtype(predicted, dtype)
                holds = not unseen
            else:
                block, back = encode_block(entry.codec, rows, predicted, bound)
                holds = len(block) <= rows.nbytes or entry.name.startswith("lossless")
            if holds and self._keeps_budget(rows, back):
                return block, back, entry.codec.name if entry.codec else LATENTS
        raise AssertionError("the contest always has an entry without loss")

    def _keeps_budget(self, rows: NDArray[Any], back: NDArray[Any]) -> bool:
        """Whether the root mean square error of all blocks so far, with this one, is within the bound; if so, the block counts."""
        values = int(np.isfinite(rows).sum())
        squared = self.squared + values * rmse(rows, back) ** 2
        if squared > (self.values + values) * self.plan.bound.rmse**2:
            return False
        self.squared, self.values = squared, self.values + values
        return True
