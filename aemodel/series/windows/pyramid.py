"""Windows as Haar coefficients: how a stretch of rows moves at every time scale.

A window is PARTS blocks of `hop` rows. What happens within a block (fine scales) is computed once
per block and shared by the windows that cover it, so the cost grows with the rows, not with rows
times window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Values = NDArray[np.float32]
PARTS = 8  # blocks in a window


class RowBlocks(NamedTuple):
    """Consecutive blocks of rows: their means (m, d), and details (m, positions, d) per scale."""

    means: Values
    details: tuple[Values, ...]


@dataclass(frozen=True)
class Pyramid:
    """The time scales of a window of `window` rows, a multiple of PARTS."""

    window: int

    @property
    def hop(self) -> int:
        """Rows in a block: windows start that far apart."""
        return self.window // PARTS

    @property
    def n_fine(self) -> int:
        """Number of scales within a block."""
        return len(self._fine_sizes())

    def _fine_sizes(self) -> list[int]:
        """Number of values that each fine scale leaves of a block."""
        sizes, size = [], self.hop
        while size > 1:
            size = size // 2 if size % 2 == 0 else 1
            sizes.append(size)
        return sizes

    def blocks(self, rows: Values) -> RowBlocks:
        """Cut rows (n, d) into blocks; rows after the last whole block are left out."""
        count, d = len(rows) // self.hop, rows.shape[1]
        level: Values = rows[: count * self.hop].reshape(count, self.hop, d)
        details: list[Values] = []
        for size in self._fine_sizes():
            if level.shape[1] == 2 * size:
                first, second = level[:, ::2], level[:, 1::2]
                details.append(_half(second - first))
                level = _half(first + second)
            else:  # an odd number of values: each beside their mean
                mean = level.mean(axis=1, keepdims=True)
                details.append(level - mean)
                level = mean
        return RowBlocks(np.ascontiguousarray(level[:, 0]), tuple(details))


def coarse_details(means: Values) -> Iterator[Values]:
    """Yield the coefficients (k, positions, d) of windows over block means (m, d), k = m - 7.

    Scales of 2, 4 and 8 blocks, then the window's mean.
    """
    level: Values = sliding_window_view(means, PARTS, axis=0).transpose(0, 2, 1)
    while level.shape[1] > 1:
        first, second = level[:, ::2], level[:, 1::2]
        yield _half(second - first)
        level = _half(first + second)
    yield np.ascontiguousarray(level)


def _half(values: Values) -> Values:
    return values * np.float32(0.5)
