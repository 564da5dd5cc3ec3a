"""The clean rows as training sees them.

Counted, split into sides, checked, and handed out in shuffled batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aemodel.errors import DataError, SettingsError
from aemodel.rows.layout import Layout
from aemodel.rows.sampling import AllRows, SampledRows
from aemodel.rows.scaling import Scaler, ScalerFit
from aemodel.rows.splits import row_hashes, sides_of
from aemodel.settings import ModelSettings, TrainSettings

FEWEST_FIT_ROWS = 2
VALIDATION_BATCH = 4_096
VALIDATION_VALUES = 4_194_304  # of one such batch: 16 MiB of float32
SLACK = 1e-6  # rounding of the scaled range


@dataclass(frozen=True)
class FitRows:
    """Clean rows after a first look.

    `fit` holds all fit rows in the source's dtype, or None where they do not fit into memory;
    `validation` all validation rows, or a fair sample of them.
    """

    read_chunks: Callable[[], Iterable[NDArray[Any]]]
    train: TrainSettings
    scaler: Scaler
    fit: NDArray[Any] | None
    validation: NDArray[Any]
    n_fit: int
    n_validation: int
    n_calibration: int
    column_means: NDArray[np.float64]  # (d,), of fit rows, in data units
    memory_bytes: int

    def batches(self, size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Scaled fit rows in shuffled batches (size, d), the last one shorter; each row once."""
        if self.fit is None:
            yield from self._streamed(size, generator)
            return
        order = torch.randperm(len(self.fit), generator=generator).numpy()
        for start in range(0, len(order), size):
            yield self.tensor(self.fit[order[start : start + size]])

    def validation_batches(self) -> Iterator[Tensor]:
        """Scaled validation rows in order."""
        size = max(1, min(VALIDATION_BATCH, VALIDATION_VALUES // len(self.column_means)))
        for start in range(0, len(self.validation), size):
            yield self.tensor(self.validation[start : start + size])

    def tensor(self, rows: NDArray[Any]) -> Tensor:
        """Rows (n, *row_shape) scaled, with the column's median for NaN."""
        scaled = self.scaler.transform(rows)
        if rows.dtype.kind == "f":
            np.copyto(scaled, self.scaler.fill, where=np.isnan(scaled))
        return torch.from_numpy(scaled)

    def sides(self, side: str) -> Iterator[NDArray[Any]]:
        """The rows of one side ('fit', 'validation' or 'calibration') in source order, chunk by chunk."""
        for chunk in self.read_chunks():
            yield chunk[getattr(sides_of(row_hashes(chunk), self.train), side)]

    def _streamed(self, size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Batches through a shuffle buffer.

        Filled up, half of it handed out in random order, and filled again.
        """
        held: list[NDArray[Any]] = []
        for rows in self.sides("fit"):
            held.append(rows)
            if (
                sum(piece.nbytes for piece in held) >= self.memory_bytes // 4
            ):  # the mixed copy takes as much twice more
                mixed = _mix(held, generator)
                whole = max(1, len(mixed) // 2 // size) * size
                yield from self._cut(mixed[:whole], size)
                held = [mixed[whole:].copy()]
        if sum(map(len, held)):
            yield from self._cut(_mix(held, generator), size)

    def _cut(self, rows: NDArray[Any], size: int) -> Iterator[Tensor]:
        for start in range(0, len(rows), size):
            yield self.tensor(rows[start : start + size])


def _mix(pieces: list[NDArray[Any]], generator: torch.Generator) -> NDArray[Any]:
    rows = np.concatenate(pieces)
    return np.asarray(rows[torch.randperm(len(rows), generator=generator).numpy()])


def look_at_rows(
    read_chunks: Callable[[], Iterable[NDArray[Any]]],
    *,
    layout: Layout,
    model: ModelSettings,
    train: TrainSettings,
    memory_bytes: int,
) -> FitRows:
    """One pass: fit the scaler on fit rows, count the sides, keep validation rows, and fit rows as long as they fit into memory."""
    scaler_fit = ScalerFit(model.scaling, layout.n_features, layout.dtype)
    fit = AllRows(layout, memory_bytes // 2)
    validation = SampledRows(
        layout, memory_bytes // 8, low=train.calibration, high=train.calibration + train.validation
    )
    n_calibration = 0
    for chunk in read_chunks():
        hashes = row_hashes(chunk)
        sides = sides_of(hashes, train)
        scaler_fit.update(chunk[sides.fit], hashes[sides.fit])
        fit.add(chunk[sides.fit])
        validation.add(chunk[sides.validation], hashes[sides.validation])
        n_calibration += int(sides.calibration.sum())
    _require_rows(fit.count, validation.count, n_calibration, train)
    scaler = scaler_fit.finish()
    _require_range(scaler_fit, scaler, model)
    return FitRows(
        read_chunks=read_chunks,
        train=train,
        scaler=scaler,
        fit=fit.rows,
        validation=validation.rows,
        n_fit=fit.count,
        n_validation=validation.count,
        n_calibration=n_calibration,
        column_means=scaler_fit.mean,
        memory_bytes=memory_bytes,
    )


def _require_rows(n_fit: int, n_validation: int, n_calibration: int, train: TrainSettings) -> None:
    if n_fit < FEWEST_FIT_ROWS:
        raise DataError(
            f"{n_fit} rows to fit on, of {n_fit + n_validation + n_calibration} clean ones; at least {FEWEST_FIT_ROWS} are needed"
        )
    for name, count in (("validation", n_validation), ("calibration", n_calibration)):
        if getattr(train, name) and not count:
            raise DataError(
                f"no row fell to the {name} side; raise train.{name}, give more clean rows, or set train.{name} = 0"
            )


def _require_range(fit: ScalerFit, scaler: Scaler, model: ModelSettings) -> None:
    """The checks of output and loss against the values that the network must give back."""
    known = fit.count > 0
    low = float(((fit.low - scaler.center) / scaler.scale)[known].min(initial=0.0))
    high = float(((fit.high - scaler.center) / scaler.scale)[known].max(initial=0.0))
    if model.output == "sigmoid" and not (low >= -SLACK and high <= 1 + SLACK):
        raise SettingsError(
            f"model.output = 'sigmoid' needs scaled values in [0, 1]. Got {low:.4g} to {high:.4g} under model.scaling = '{model.scaling}'; "
            "set model.scaling to 'range' or 'minmax', or model.output to 'identity' and model.loss to 'mse'."
        )
    if model.output == "relu" and low < -SLACK:
        raise SettingsError(
            f"model.output = 'relu' cannot give back negative values. Got scaled values down to {low:.4g}; set model.output to 'identity'."
        )
