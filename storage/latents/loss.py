"""What a store loses, by column and as a histogram of differences; merges over shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from storage.codecs.deviation import differences, largest_of, norms

MOST_COLUMNS = 256  # wider rows are summed over all columns
_SHIFT = 19  # bits of a float32 that a bin leaves out: 16 bins for each doubling
_BINS = 1 << (31 - _SHIFT)
_BLOCK_VALUES = 32_768  # values handled at once, 256 KiB of float64, so that they stay in caches


class LossJson(TypedDict):
    """A loss as JSON: one number for all columns if there are more than MOST_COLUMNS."""

    norms: list[float]
    largest: list[float]
    values: int
    counts: dict[str, int]


@dataclass
class Loss:
    """Differences between rows and what is read back, in data units.

    norms: (d,) roots of the sums of squares, which squares of huge differences would overflow.
    largest: (d,). counts: differences by size, in bins of their float32 bits. A gap counts as 0.
    """

    norms: NDArray[np.float64]
    largest: NDArray[np.float64]
    values: int = 0
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_BINS, np.int64))

    @classmethod
    def of(cls, n_features: int) -> Loss:
        """Return an empty loss."""
        return cls(np.zeros(n_features), np.zeros(n_features))

    def add(
        self,
        rows: NDArray[np.generic],
        back: NDArray[np.generic],
        counted: NDArray[np.bool_] | None = None,
    ) -> None:
        """Add rows (n, d) and what a reader gets for them; counted: (n,) mask, None for all."""
        step = 1 << (max(1, _BLOCK_VALUES // max(1, rows.shape[1])).bit_length() - 1)
        for start in range(0, len(rows), step):
            block = slice(start, start + step)
            if counted is None or counted[block].all():
                self._add(rows[block], back[block])
            else:
                self._add(rows[block][counted[block]], back[block][counted[block]])

    def _add(self, rows: NDArray[np.generic], back: NDArray[np.generic]) -> None:
        apart = differences(rows, back)
        largest = largest_of(apart)
        with np.errstate(over="ignore"):
            self.norms = np.hypot(self.norms, norms(apart, largest))
            bins = apart.astype(np.float32).reshape(-1).view(np.uint32) >> _SHIFT
        self.values += apart.size
        np.maximum(self.largest, largest, out=self.largest)
        self.counts += np.bincount(bins, minlength=_BINS)

    def to_json(self) -> LossJson:
        """Return the loss as JSON."""
        filled = np.flatnonzero(self.counts)
        wide = len(self.norms) > MOST_COLUMNS
        return {
            "norms": [float(norms(self.norms[:, None])[0])] if wide else self.norms.tolist(),
            "largest": [float(self.largest.max(initial=0.0))] if wide else self.largest.tolist(),
            "values": self.values,
            "counts": {str(index): int(self.counts[index]) for index in filled},
        }


def merge_losses(losses: Sequence[LossJson]) -> Loss:
    """Merge the losses of all shards."""
    merged = Loss.of(len(losses[0]["norms"]) if losses else 0)
    for loss in losses:
        merged.norms = np.hypot(merged.norms, loss["norms"])
        merged.largest = np.maximum(merged.largest, loss["largest"])
        merged.values += loss["values"]
        for index, count in loss["counts"].items():
            merged.counts[int(index)] += count
    return merged


def quantile(loss: Loss, share: float) -> float:
    """Return a difference that at least `share` of the values do not exceed.

    This is the upper edge of a bin, at most a sixteenth too large.
    """
    if not loss.values:
        return 0.0
    index = int(np.searchsorted(np.cumsum(loss.counts), share * loss.values))
    if index == 0:
        return 0.0
    edge = float(np.array([(index + 1) << _SHIFT], np.uint32).view(np.float32)[0])
    largest = float(loss.largest.max(initial=0.0))
    return min(edge, largest) if np.isfinite(edge) else largest
