"""The rows of one shard beside what a reader gets: what is lost, what is kept exactly, and gaps."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flows.encoding.waiting_rows import Errors, KeptRows, Rows, lost_rows, rows_with_gaps
from storage.latents import Scale, ShardRows
from storage.latents.loss import Loss


@dataclass
class ComparedRows:
    """What comparing the rows of a shard, block by block, has given so far.

    scale: of the latents. tail: rows with larger errors may be kept exactly. step: of so many
    rows, one is measured. done: rows of the blocks before the current one.
    """

    loss: Loss
    scale: Scale
    tail: float
    step: int
    done: int = 0
    worst: list[KeptRows] = field(default_factory=list)
    gap_rows: list[NDArray[np.intp]] = field(default_factory=list)
    gaps: list[NDArray[np.bool_]] = field(default_factory=list)

    def to_decode(self, latents: NDArray[np.float32], errors: Errors) -> NDArray[np.intp]:
        """Places in the block (m,) of measured rows, and of any that may have to be kept exactly.

        Latents within the scale, which spans those of clean rows, give finite values.
        """
        if self.step == 1:
            return np.arange(len(latents))
        low, high = self.scale.low, self.scale.high
        usual = ((latents >= low) & (latents <= high)).all(axis=1)
        wanted = ~usual | (errors > self.tail)
        wanted[-self.done % self.step :: self.step] = True
        return np.flatnonzero(wanted)

    def compare(self, rows: Rows, back: Rows, errors: Errors, places: NDArray[np.intp]) -> None:
        """Measure what is lost of the rows (m, d) at some places of the block.

        Rows that may be kept exactly are counted once that is decided, by `keep_exactly`.
        """
        lost = lost_rows(rows, back)
        worst = (errors > self.tail) | lost
        inside = places + self.done
        if worst.any():
            self.worst.append(
                KeptRows(inside[worst], rows[worst], back[worst], errors[worst], lost[worst])
            )
        self.loss.add(rows, back, ~worst & self._measured(inside))

    def note_gaps(self, rows: Rows) -> None:
        """Keep where values of the block (n, d) are missing."""
        gaps = rows_with_gaps(rows)
        if gaps.any():
            self.gap_rows.append(np.flatnonzero(gaps) + self.done)
            self.gaps.append(np.isnan(rows[gaps]))

    def keep_exactly(self, most: int, row_size: int, dtype: str) -> tuple[NDArray[np.int64], Rows]:
        """Choose the rows to keep: all lost ones, else the `most` worst, and count all.

        Returns their rows (m,) in the shard, and their values (m, row_size).
        """
        worst = KeptRows.join(self.worst, row_size, dtype)
        chosen = worst.choose(most)
        worst.back[chosen] = worst.values[chosen]
        self.loss.add(worst.values, worst.back, self._measured(worst.places))
        return worst.places[chosen], worst.values[chosen]

    def with_gaps(self, rows: ShardRows) -> ShardRows:
        """Return the shard with the gaps of the rows that are not kept exactly."""
        if not self.gaps:
            return rows
        places, gaps = np.concatenate(self.gap_rows), np.concatenate(self.gaps)
        others = ~np.isin(places, rows.exact_rows)
        return rows.with_gaps(gaps[others], places[others])

    def _measured(self, inside: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which rows of the shard are measured: every step-th."""
        return np.asarray(inside % self.step == 0)


def identical(found: Rows, expected: Rows) -> bool:
    """Whether two arrays hold the same values; NaN equals NaN."""
    return np.array_equal(found, expected, equal_nan=expected.dtype.kind == "f")
