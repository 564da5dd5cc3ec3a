"""Clean rows as training sees them: counted, split, checked, and read in shuffled batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aemodel.errors import DataError, SettingsError
from aemodel.rows.far_values import Fences
from aemodel.rows.layout import NUMBER, Layout
from aemodel.rows.sampling import AllRows, BitMask, SampledRows
from aemodel.rows.scaling import BY_COLUMN, Scaler, ScalerFit
from aemodel.rows.splits import hasher_for, sides_of
from aemodel.settings import ModelSettings, TrainSettings

FEWEST_FIT_ROWS = 2
VALIDATION_BATCH = 4_096
VALIDATION_VALUES = 4_194_304  # in one validation batch: 16 MiB of float32
SLACK = 1e-6  # rounding of the scaled range

ReadShuffled = Callable[[int], Iterable[tuple[int, NDArray[np.generic]]]]
ReadChunks = Callable[[], Iterable[NDArray[np.generic]]]  # chunks (n, *row_shape), anew each call


@dataclass(frozen=True)
class FitRows:
    """Clean rows, prepared for training.

    fit: all fit rows in the source's dtype, or None if they do not fit into memory.
    validation: all validation rows, or a random sample of them.
    column_means: (d,) float64, of fit rows, in data units.
    fences: limits of each column; values outside are left out of training.
    in_fit: which rows of the source are fit rows. read_shuffled: see `aemodel.training.loop`.
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
    read_shuffled: ReadShuffled | None = None

    def batches(self, size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield scaled fit rows in shuffled batches (size, d): each row once, the last shorter.

        Values that are missing or far outside are NaN.
        """
        if self.fit is None:
            yield from self._streamed(size, generator)
            return
        order = torch.randperm(len(self.fit), generator=generator).numpy()
        for start in range(0, len(order), size):
            yield self.gappy_tensor(self.fit[order[start : start + size]])

    def validation_batches(self) -> Iterator[Tensor]:
        """Yield scaled validation rows in source order."""
        size = max(1, min(VALIDATION_BATCH, VALIDATION_VALUES // len(self.column_means)))
        yield from self._cut(self.validation, size)

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
        return np.asarray(self.fences.outside(rows.reshape(len(rows), -1)).any(axis=1))

    def sides(self, side: str) -> Iterator[NDArray[np.generic]]:
        """Yield the rows of one split chunk by chunk, in source order.

        side: 'fit', 'validation' or 'calibration'.
        """
        hasher = hasher_for(self.train)
        for chunk in self.read_chunks():
            yield chunk[getattr(sides_of(hasher(chunk), self.train), side)]

    def _streamed(self, size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield batches through a shuffle buffer.

        Whenever the buffer is full, half of it is yielded in random order.
        """
        buffer: list[NDArray[np.generic]] = []
        for rows in self._fit_pieces(generator):
            buffer.append(rows)
            if not self._is_full(buffer):
                continue
            shuffled = _shuffle(buffer, generator)
            whole = max(1, len(shuffled) // 2 // size) * size
            yield from self._cut(shuffled[:whole], size)
            buffer = [shuffled[whole:].copy()]
        if sum(map(len, buffer)):
            yield from self._cut(_shuffle(buffer, generator), size)

    def _fit_pieces(self, generator: torch.Generator) -> Iterator[NDArray[np.generic]]:
        """Yield the fit rows piece by piece, in random order where the source allows it."""
        if self.read_shuffled is None:
            yield from self.sides("fit")
            return
        seed = int(torch.randint(2**31, (), generator=generator))
        for start, rows in self.read_shuffled(seed):
            yield rows[self.in_fit.part(start, start + len(rows))]

    def _is_full(self, buffer: list[NDArray[np.generic]]) -> bool:
        """Whether the buffer takes a quarter of the memory; the shuffled copy takes another two."""
        return sum(piece.nbytes for piece in buffer) >= self.memory_bytes // 4

    def _cut(self, rows: NDArray[np.generic], size: int) -> Iterator[Tensor]:
        for start in range(0, len(rows), size):
            yield self.gappy_tensor(rows[start : start + size])


def _shuffle(pieces: list[NDArray[np.generic]], generator: torch.Generator) -> NDArray[np.generic]:
    rows = np.concatenate(pieces)
    return np.asarray(rows[torch.randperm(len(rows), generator=generator).numpy()])


class _Collector:
    """Fits the scaler, counts the splits, and keeps fit and validation rows, chunk by chunk."""

    def __init__(
        self, layout: Layout, model: ModelSettings, train: TrainSettings, memory_bytes: int
    ) -> None:
        low, high = train.calibration, train.calibration + train.validation
        self.train = train
        self._hasher = hasher_for(train)
        self.scaler = ScalerFit(model.scaling, layout)
        self.fit = AllRows(layout, memory_bytes // 2)
        self.validation = SampledRows(layout, memory_bytes // 8, low=low, high=high)
        self.n_calibration = 0
        self.in_fit = BitMask()

    def add(self, chunk: NDArray[np.generic]) -> None:
        """Add rows (n, *row_shape)."""
        hashes = self._hasher(chunk)
        sides = sides_of(hashes, self.train)
        fit = chunk[sides.fit]
        self.scaler.update(fit, hashes[sides.fit])
        self.fit.add(fit)
        self.validation.add(chunk[sides.validation], hashes[sides.validation])
        self.in_fit.append(sides.fit)
        self.n_calibration += int(sides.calibration.sum())


def prepare_rows(
    read_chunks: ReadChunks,
    *,
    layout: Layout,
    model: ModelSettings,
    train: TrainSettings,
    memory_bytes: int,
) -> FitRows:
    """Read all clean rows once: fit the scaler, split the rows, and keep what fits into memory.

    Raises DataError if a split is empty, SettingsError if the network's output cannot reach the
    scaled values.
    """
    found = _Collector(layout, model, train, memory_bytes)
    for chunk in read_chunks():
        found.add(chunk)
    _require_rows(found)
    scaler = found.scaler.finish()
    _require_numbers_only(layout, model)
    _require_range(found.scaler, scaler, model)
    return FitRows(
        read_chunks=read_chunks,
        train=train,
        scaler=scaler,
        fit=found.fit.rows,
        validation=found.validation.rows,
        n_fit=found.fit.count,
        n_validation=found.validation.count,
        n_calibration=found.n_calibration,
        column_means=found.scaler.moments.mean,
        memory_bytes=memory_bytes,
        fences=found.scaler.fences,
        in_fit=found.in_fit,
    )


def _require_rows(found: _Collector) -> None:
    counts = {"validation": found.validation.count, "calibration": found.n_calibration}
    n_fit = found.fit.count
    if n_fit < FEWEST_FIT_ROWS:
        raise DataError(
            f"{n_fit} of {n_fit + sum(counts.values())} clean rows are in the fit split; "
            f"at least {FEWEST_FIT_ROWS} are needed"
        )
    for name, count in counts.items():
        if getattr(found.train, name) and not count:
            raise DataError(
                f"the {name} split is empty; "
                f"raise train.{name}, add clean rows, or set train.{name} = 0"
            )


def _require_numbers_only(layout: Layout, model: ModelSettings) -> None:
    """Check that the network suits the kinds of columns."""
    needed = {"network": "dense", "output": "identity", "loss": "mse"}
    for key, value in needed.items() if layout.kinds else ():
        if getattr(model, key) != value:
            raise SettingsError(
                f"model.{key} must be '{value}' for a table with categories, times, or entities. "
                f"Got '{getattr(model, key)}' instead; change it, or list numbers in data.columns "
                "and remove data.entity."
            )
    if layout.entity is not None and model.scaling not in BY_COLUMN:
        raise SettingsError(
            f"model.scaling must be one of {', '.join(BY_COLUMN)} with data.entity. "
            f"Got '{model.scaling}' instead."
        )


def _require_range(fit: ScalerFit, scaler: Scaler, model: ModelSettings) -> None:
    """Check that the network's output can reach the scaled values."""
    low, high = _scaled_range(fit, scaler)
    if model.output == "sigmoid" and not (low >= -SLACK and high <= 1 + SLACK):
        raise SettingsError(
            f"model.output = 'sigmoid' needs scaled values in [0, 1]. Got {low:.4g} to {high:.4g} "
            f"with model.scaling = '{model.scaling}'; set model.scaling to 'range' or 'minmax', "
            "or model.output to 'identity' and model.loss to 'mse'."
        )
    if model.output == "relu" and low < -SLACK:
        raise SettingsError(
            "model.output = 'relu' cannot produce negative values. "
            f"Got scaled values down to {low:.4g}; set model.output to 'identity'."
        )


def _scaled_range(fit: ScalerFit, scaler: Scaler) -> tuple[float, float]:
    """Range of the fit rows in scaled units, always including 0."""
    known = fit.moments.count > 0
    known &= np.isin(fit.layout.kinds or (NUMBER,) * len(known), NUMBER)
    low = (fit.moments.low - scaler.center) / scaler.scale
    high = (fit.moments.high - scaler.center) / scaler.scale
    return float(low[known].min(initial=0.0)), float(high[known].max(initial=0.0))
