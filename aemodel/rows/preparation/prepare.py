"""Read all clean rows once, and prepare them for training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from aemodel.rows.blocks import BlockSplit, CleanBlocks, split_blocks
from aemodel.rows.layout import Layout
from aemodel.rows.preparation.checks import (
    require_enough_rows,
    require_numbers_only,
    require_reachable_range,
)
from aemodel.rows.sampling import AllRows, BitMask, SampledRows
from aemodel.rows.scaler_fit import ScalerFit
from aemodel.rows.splits import hasher_for, sides_of
from aemodel.rows.training_rows import FitRows, ReadChunks
from aemodel.settings import ModelSettings, TrainSettings

Keeps = Callable[[NDArray[np.generic]], NDArray[np.bool_]]  # marks rows (n, *row_shape) to keep


class _Collector:
    """Fits the scaler, counts the splits, and keeps fit and validation rows, chunk by chunk."""

    def __init__(
        self,
        layout: Layout,
        model: ModelSettings,
        train: TrainSettings,
        memory_bytes: int,
        block_split: BlockSplit | None,
        keeps: Keeps,
    ) -> None:
        low, high = train.calibration, train.calibration + train.validation
        self.train, self.keeps = train, keeps
        self._hasher = hasher_for(train, block_split)
        self.scaler = ScalerFit(model.scaling, layout)
        self.fit = AllRows(layout, memory_bytes // 2)
        self.validation = SampledRows(layout, memory_bytes // 8, low=low, high=high)
        self.n_calibration = self.n_left_out = 0
        self.in_fit = BitMask()

    def add(self, chunk: NDArray[np.generic]) -> None:
        """Add rows (n, *row_shape)."""
        hashes = self._hasher(chunk)
        sides = sides_of(hashes, self.train)
        in_fit = sides.fit.copy()
        in_fit[sides.fit] = self.keeps(chunk[sides.fit])
        fit = chunk[in_fit]
        self.scaler.update(fit, hashes[in_fit])
        self.fit.add(fit)
        self.validation.add(chunk[sides.validation], hashes[sides.validation])
        self.in_fit.append(in_fit)
        self.n_left_out += int(sides.fit.sum()) - len(fit)
        self.n_calibration += int(sides.calibration.sum())


def _keep_all(rows: NDArray[np.generic]) -> NDArray[np.bool_]:
    return np.ones(len(rows), np.bool_)


def prepare_rows(
    read_chunks: ReadChunks,
    *,
    layout: Layout,
    model: ModelSettings,
    train: TrainSettings,
    memory_bytes: int,
    blocks: CleanBlocks | None = None,
    keeps: Keeps = _keep_all,
) -> FitRows:
    """Read all clean rows once: fit the scaler, split the rows, and keep what fits into memory.

    Fit rows that `keeps` does not mark are left out. Such validation rows are too, unless none
    were left, but they count as validation rows.
    Raises DataError if a split is empty, SettingsError if the network's output cannot reach the
    scaled values.
    """
    block_split = split_blocks(blocks, train) if blocks and train.split == "blocks" else None
    found = _Collector(layout, model, train, memory_bytes, block_split, keeps)
    for chunk in read_chunks():
        found.add(chunk)
    require_enough_rows(
        train,
        fit=found.fit.count,
        validation=found.validation.count,
        calibration=found.n_calibration,
    )
    scaler = found.scaler.finish()
    require_numbers_only(layout, model)
    require_reachable_range(found.scaler, scaler, model)
    return FitRows(
        read_chunks=read_chunks,
        train=train,
        scaler=scaler,
        fit=found.fit.rows,
        validation=_kept(found.validation.rows, keeps),
        n_fit=found.fit.count,
        n_validation=found.validation.count,
        n_calibration=found.n_calibration,
        column_means=found.scaler.moments.mean,
        memory_bytes=memory_bytes,
        fences=found.scaler.fences,
        in_fit=found.in_fit,
        blocks=blocks,
        block_split=block_split,
        n_left_out=found.n_left_out,
        imprecise=found.scaler.imprecise(scaler),
    )


def _kept(rows: NDArray[np.generic], keeps: Keeps) -> NDArray[np.generic]:
    kept = keeps(rows)
    return rows if kept.all() or not kept.any() else rows[kept]
