"""Clean rows as training sees them: split, scaled, and read in shuffled batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aemodel.rows.blocks import BlockSplit, CleanBlocks
from aemodel.rows.far_values import Fences
from aemodel.rows.hashes import repeated_share
from aemodel.rows.sampling import BitMask
from aemodel.rows.scaling import Scaler
from aemodel.rows.splits import hasher_for, sides_of
from aemodel.settings import TrainSettings

ReadShuffled = Callable[[int], Iterable[tuple[int, NDArray[np.generic]]]]
ReadChunks = Callable[[], Iterable[NDArray[np.generic]]]  # chunks (n, *row_shape), anew each call


@dataclass(frozen=True)
class FitRows:
    """Clean rows, prepared for training.

    fit: all fit rows in the source's dtype, or None if they do not fit into memory.
    validation: all validation rows, or a random sample of them.
    column_means: (d,) float64, of fit rows, in data units.
    fences: limits of each column; values outside are left out of training.
    n_fit: without the n_left_out rows of the fit split that stand apart.
    imprecise: why columns lose the differences between fit rows, see `ScalerFit.imprecise`.
    in_fit: which rows of the source are fit rows. read_shuffled: see `aemodel.training.loop`.
    blocks: files or days of the clean rows, if any. block_split: only with train.split = "blocks".
    """

    read_chunks: ReadChunks
    train: TrainSettings
    scaler: Scaler
    fit: NDArray[np.generic] | None
    validation: NDArray[np.generic]
    n_fit: int
    n_validation: int
    n_calibration: int
    column_means: NDArray[np.float64]
    memory_bytes: int
    fences: Fences
    in_fit: BitMask
    n_left_out: int = 0
    imprecise: Mapping[int, str] = field(default_factory=dict)
    read_shuffled: ReadShuffled | None = None
    blocks: CleanBlocks | None = None
    block_split: BlockSplit | None = None

    @cached_property
    def repeated_share(self) -> float:
        """The share of fit rows that repeat another; all of them are read at once."""
        return repeated_share(np.concatenate(list(self.fit_pieces())))

    def tensor(self, rows: NDArray[np.generic]) -> Tensor:
        """Scale rows (n, *row_shape) to (n, d); the median of the column replaces NaN."""
        scaled = self.gappy_tensor(rows)
        return torch.where(scaled.isnan(), torch.from_numpy(self.scaler.fill), scaled)

    def gappy_tensor(self, rows: NDArray[np.generic]) -> Tensor:
        """Scale rows (n, *row_shape) to (n, d) as the network is fitted to them.

        Missing and far values are NaN; columns that are constant in the fit rows are 0.
        """
        scaled = self.scaler.transform(rows)
        if self.fences.any:
            scaled[self.fences.outside(rows.reshape(scaled.shape))] = np.nan
        scaled[:, self.scaler.constant] = 0.0
        return torch.from_numpy(scaled)

    def has_far_values(self, rows: NDArray[np.generic]) -> NDArray[np.bool_]:
        """Mark the rows (n,) of (n, *row_shape) with a value far outside all others."""
        flat = rows.reshape(len(rows), math.prod(rows.shape[1:]))
        return np.asarray(self.fences.outside(flat).any(axis=1))

    def fit_pieces(self, most: int = 0) -> Iterator[NDArray[np.generic]]:
        """Yield all fit rows in source order, in pieces of at most `most` rows; 0: of any size."""
        for piece in [self.fit] if self.fit is not None else self.sides("fit"):
            for start in range(0, len(piece), most or max(1, len(piece))):
                yield piece[start : start + most] if most else piece

    def sides(self, side: str) -> Iterator[NDArray[np.generic]]:
        """Yield the rows of one split chunk by chunk, in source order.

        side: 'fit', 'validation' or 'calibration'.
        """
        for rows, _ in self.sides_with_blocks(side):
            yield rows

    def sides_with_blocks(
        self, side: str
    ) -> Iterator[tuple[NDArray[np.generic], NDArray[np.intp]]]:
        """Yield the rows of one split (n, *row_shape), and the block of each (n,).

        All rows are in block 0 if no blocks are known.
        """
        hasher, start = hasher_for(self.train, self.block_split), 0
        for chunk in self.read_chunks():
            stop = start + len(chunk)
            if side == "fit":  # known since the first pass: every epoch may come here
                places = np.flatnonzero(self.in_fit.part(start, stop))
            else:
                places = np.flatnonzero(getattr(sides_of(hasher(chunk), self.train), side))
            of_chunk = self.blocks.numbers(start, stop) if self.blocks else np.zeros(len(chunk))
            yield chunk[places], of_chunk[places].astype(np.intp)
            start = stop
