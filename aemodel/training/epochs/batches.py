"""Batches of scaled rows on the device that fits them, gathered there if all rows fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aemodel.devices.batches import Sender
from aemodel.rows.training_rows import FitRows

VALIDATION_BATCH = 4_096
VALIDATION_VALUES = 4_194_304  # in one validation batch: 16 MiB of float32
SCALED_AT_ONCE = 1 << 20  # values
Rows = NDArray[np.generic]


@dataclass(frozen=True)
class ScaledRows:
    """Scaled rows (n, d) on the device.

    has_gaps: whether some may be NaN, which is known without asking the device.
    """

    rows: Tensor
    has_gaps: bool


class Batches:
    """Where training takes its batches from.

    Fit rows are scaled once and stay on the device if they take at most a quarter of the memory,
    validation rows an eighth. Others are scaled anew for every batch.
    """

    def __init__(self, rows: FitRows, device: torch.device) -> None:
        """Scale what fits."""
        self._rows, self._device, self._send = rows, device, Sender(device)
        self.train, self.n_fit = rows.train, rows.n_fit
        fit = rows.fit
        self._fit = None if fit is None else self._scale_once(fit, rows.memory_bytes // 4)
        self._validation = self._scale_once(rows.validation, rows.memory_bytes // 8)

    def fit(self, generator: torch.Generator) -> Iterator[ScaledRows]:
        """Yield the fit rows in shuffled batches: each row once, the last batch shorter.

        Values that are missing or far outside are NaN.
        """
        size = self.train.batch_size
        if self._rows.fit is None:
            yield from self._streamed(size, generator)
            return
        order = torch.randperm(len(self._rows.fit), generator=generator)
        if self._fit is not None:
            order = order.to(self._device)  # once a pass: the host waits for each copy
        for places in torch.split(order, size):
            yield self._gathered(self._rows.fit, places)

    def validation(self) -> Iterator[ScaledRows]:
        """Yield the validation rows in source order."""
        size = max(1, min(VALIDATION_BATCH, VALIDATION_VALUES // len(self._rows.column_means)))
        if self._validation is None:
            yield from self._cut(self._rows.validation, size)
            return
        for rows in torch.split(self._validation.rows, size):
            yield ScaledRows(rows, self._validation.has_gaps)

    def _gathered(self, fit: Rows, places: Tensor) -> ScaledRows:
        if self._fit is None:
            return self._scaled(fit[places.numpy()])
        chosen = self._fit.rows.index_select(0, places)
        return ScaledRows(chosen, self._fit.has_gaps)

    def _scale_once(self, rows: Rows, most_bytes: int) -> ScaledRows | None:
        """Scale all rows (n, *row_shape) onto the device; None if they exceed `most_bytes`."""
        n, d = len(rows), len(self._rows.column_means)
        if 4 * n * d > most_bytes:
            return None
        scaled, size = torch.empty(n, d, device=self._device), max(1, SCALED_AT_ONCE // d)
        gaps = False
        for start in range(0, n, size):
            part = self._rows.gappy_tensor(rows[start : start + size])
            scaled[start : start + size] = part
            gaps = gaps or _has_nan(part)
        return ScaledRows(scaled, gaps)

    def _scaled(self, rows: Rows) -> ScaledRows:
        scaled = self._rows.gappy_tensor(rows)
        return ScaledRows(self._send(scaled), _has_nan(scaled))

    def _cut(self, rows: Rows, size: int) -> Iterator[ScaledRows]:
        for start in range(0, len(rows), size):
            yield self._scaled(rows[start : start + size])

    def _streamed(self, size: int, generator: torch.Generator) -> Iterator[ScaledRows]:
        """Yield batches through a shuffle buffer.

        Whenever the buffer is full, half of it is yielded in random order.
        """
        buffer: list[Rows] = []
        for rows in self._pieces(generator):
            buffer.append(rows)
            if not self._is_full(buffer):
                continue
            shuffled = _shuffle(buffer, generator)
            whole = max(1, len(shuffled) // 2 // size) * size
            yield from self._cut(shuffled[:whole], size)
            buffer = [shuffled[whole:].copy()]
        if sum(map(len, buffer)):
            yield from self._cut(_shuffle(buffer, generator), size)

    def _pieces(self, generator: torch.Generator) -> Iterator[Rows]:
        """Yield the fit rows piece by piece, in random order where the source allows it."""
        rows = self._rows
        if rows.read_shuffled is None:
            yield from rows.sides("fit")
            return
        seed = int(torch.randint(2**31, (), generator=generator))
        for start, piece in rows.read_shuffled(seed):
            yield piece[rows.in_fit.part(start, start + len(piece))]

    def _is_full(self, buffer: list[Rows]) -> bool:
        """Whether the buffer takes a quarter of the memory; the shuffled copy takes another two."""
        return sum(piece.nbytes for piece in buffer) >= self._rows.memory_bytes // 4


def _shuffle(pieces: list[Rows], generator: torch.Generator) -> Rows:
    rows = np.concatenate(pieces)
    return np.asarray(rows[torch.randperm(len(rows), generator=generator).numpy()])


def _has_nan(values: Tensor) -> bool:
    return bool(values.sum().isnan())
