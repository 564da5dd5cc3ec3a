"""Training as a list of steps.

Scan the clean rows, build the network, fit it, and measure it on rows it was not fitted on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aemodel.errors import DataError
from aemodel.network.build import build_network
from aemodel.network.components import start_from_components
from aemodel.network.dense import DenseAutoencoder, start_from_rows
from aemodel.network.ensemble import Ensemble
from aemodel.network.expansion import Expansion
from aemodel.network.gaps import fill_from_similar, fill_gaps
from aemodel.network.out_of_memory import halving
from aemodel.rows.blocks import CleanBlocks
from aemodel.rows.layout import Layout
from aemodel.rows.preparation.prepare import prepare_rows
from aemodel.rows.training_rows import FitRows, ReadChunks, ReadShuffled
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.epochs.best_weights import BestWeights
from aemodel.training.epochs.course import NO_CALLS, BetweenEpochs, Course
from aemodel.training.losses import (
    MixedLoss,
    penalty,
    row_losses,
    start_outputs,
    without_worst,
)
from aemodel.training.measure import measure_model, unmeasured_model
from aemodel.training.reference_rows import sample_fit_rows
from aemodel.training.result import Epoch, History, Trained
from aemodel.training.trimming import MOST_COMPARED, find_trimming

MOST_START_ROWS = 10_000  # that prototypes are drawn from
MOST_DONORS = 1_000  # rows whose values prototypes have in place of gaps
MOST_COMPONENT_ROWS = 2_000  # that principal components are computed from
FUSED = ("cpu", "cuda")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CleanRows:
    """The clean rows to train on.

    Every call of `read_chunks()` starts a pass over them, as arrays (n, *layout.row_shape) in
    source order. Rows that fit into `memory_bytes` stay in memory; otherwise they stream through a
    shuffle buffer of that size, in the order of `read_shuffled` where that is given: it takes a
    seed and yields pieces of the rows in random order, each with the number of its first row.
    blocks: the files or days that the rows come from, where there are any.
    """

    read_chunks: ReadChunks
    layout: Layout
    memory_bytes: int
    read_shuffled: ReadShuffled | None = None
    blocks: CleanBlocks | None = None

    @classmethod
    def in_memory(cls, rows: NDArray[np.generic], layout: Layout) -> CleanRows:
        """Return rows (n, *layout.row_shape) that all stay in memory."""
        # an eighth of the memory is for validation rows
        return cls(lambda: [rows], layout, memory_bytes=8 * rows.nbytes)


def train_autoencoder(
    clean: CleanRows,
    *,
    model: ModelSettings,
    train: TrainSettings,
    device: str = "cpu",
    between: BetweenEpochs = NO_CALLS,
) -> Trained:
    """Fit an autoencoder to clean rows and measure it.

    Raises DataError if there are too few rows, SettingsError if the settings do not fit the values.
    """
    layout, generator = clean.layout, torch.Generator().manual_seed(train.seed)
    rows = _prepared(clean, model, train)
    mixed = MixedLoss.of(rows, layout, device)
    row_shape = (mixed.expansion.width,) if mixed else layout.row_shape
    members = [build_network(row_shape, model, generator) for _ in range(model.members)]
    if model.prototypes:
        _start_prototypes(members, rows, layout, generator)
    if model.is_linear and mixed is None:
        _start_components(members, rows)
    ensemble = Ensemble([member.to(device) for member in members])
    history = fit_ensemble(
        ensemble, rows, model=model, generator=generator, mixed=mixed, between=between
    )
    fitted = unmeasured_model(
        ensemble.unstacked(), rows, settings=model, layout=layout, device=device
    )
    return measure_model(fitted, rows, history=history)


def _prepared(clean: CleanRows, model: ModelSettings, train: TrainSettings) -> FitRows:
    """Prepare clean rows for training, without those that train.trim leaves out."""
    prepare = partial(
        prepare_rows,
        clean.read_chunks,
        layout=clean.layout,
        model=model,
        train=train,
        memory_bytes=clean.memory_bytes,
        blocks=clean.blocks,
    )
    rows = prepare()
    if train.trim:
        kinds = clean.layout.kinds
        sample = sample_fit_rows(rows, MOST_COMPARED)
        rows = prepare(keeps=find_trimming(rows, sample, scaling=model.scaling, kinds=kinds).keeps)
    return replace(rows, read_shuffled=clean.read_shuffled)


def _start_prototypes(
    members: Iterable[nn.Module], rows: FitRows, layout: Layout, generator: torch.Generator
) -> None:
    for member in members:
        assert isinstance(member, DenseAutoencoder), "ModelSettings requires it for prototypes"
        sample = sample_fit_rows(rows, MOST_START_ROWS)
        fill = torch.from_numpy(rows.scaler.fill)
        inputs = fill_from_similar(rows.gappy_tensor(sample), fill, most=MOST_DONORS)
        outputs = inputs
        if rows.scaler.levels is not None:
            expansion = Expansion(layout.kinds, rows.scaler.levels, "cpu")
            inputs = expansion(rows.tensor(sample))
            outputs = start_outputs(inputs, expansion)
        start_from_rows(member, inputs, generator, outputs=outputs)


def _start_components(members: Iterable[nn.Module], rows: FitRows) -> None:
    sample = rows.tensor(sample_fit_rows(rows, MOST_COMPONENT_ROWS))
    for member in members:
        assert isinstance(member, DenseAutoencoder), "is_linear requires it"
        start_from_components(member, sample)


def fit_ensemble(
    ensemble: Ensemble,
    rows: FitRows,
    *,
    model: ModelSettings,
    generator: torch.Generator,
    mixed: MixedLoss | None = None,
    between: BetweenEpochs = NO_CALLS,
) -> History:
    """Fit `ensemble` in place, with early stopping if train.patience is set.

    mixed: the loss of rows whose columns are of several kinds.

    Raises DataError if the loss becomes infinite or NaN.
    """
    train = rows.train
    # one pass over the many weights of categories; numbers keep the bits of separate steps
    fused = True if mixed is not None and ensemble.device.type in FUSED else None
    optimizer = torch.optim.Adam(ensemble.weights.values(), lr=train.learning_rate, fused=fused)
    fill = torch.from_numpy(rows.scaler.fill).to(ensemble.device)
    fit = _Fit(ensemble, optimizer, model, generator, fill, mixed)
    best = BestWeights(ensemble, train.patience)
    course = Course(ensemble, optimizer, generator, best)
    if state := between.resume():
        course.resume(state)
        between.report(state.epochs[-1])
    epochs = course.epochs
    while len(epochs) < train.epochs and not best.is_stale(len(epochs)):
        epoch = _run_epoch(fit, rows, len(epochs) + 1, between)
        epochs.append(epoch)
        between.report(epoch)
        _require_finite(epoch)
        best.update(epoch)
        between.keep(course.state)
    best.restore()
    return History(tuple(epochs), best.number or train.epochs)


def _run_epoch(fit: _Fit, rows: FitRows, number: int, between: BetweenEpochs) -> Epoch:
    # an unfitted network cannot tell the worst rows
    trim = rows.train.trim if number > 1 else 0.0
    batches = rows.batches(rows.train.batch_size, fit.generator)
    train_loss = fit.one_pass(batches, trim, lambda done: between.batch(done, rows.n_fit))
    return Epoch(number, train_loss, fit.validation_loss(rows.validation_batches()))


def _require_finite(epoch: Epoch) -> None:
    if not np.isfinite(epoch.train_loss):
        raise DataError(
            f"epoch {epoch.number}: the loss is {epoch.train_loss}; "
            "lower train.learning_rate, or choose another model.scaling"
        )


@dataclass(frozen=True)
class _Fit:
    """An ensemble being fitted, with its optimizer and its source of noise.

    fill: (d,), what the network sees where nothing was observed.
    """

    ensemble: Ensemble
    optimizer: torch.optim.Optimizer
    model: ModelSettings
    generator: torch.Generator
    fill: Tensor
    mixed: MixedLoss | None = None

    def one_pass(
        self, batches: Iterator[Tensor], trim: float, on_batch: Callable[[int], None]
    ) -> float:
        """Fit to scaled batches (n, d) once; return the mean loss per row."""
        device = self.ensemble.device
        sums_on = "cpu" if device.type == "mps" else device  # MPS has no float64
        total = torch.zeros((), dtype=torch.float64, device=sums_on)
        n_rows = 0
        for scaled in batches:
            clean = self._for_each_member(scaled)
            inputs = self._inputs(self._for_each_member(self._filled(scaled)))
            step = partial(self._add_gradients, inputs, clean, trim)
            losses = halving(step, len(scaled))
            self.optimizer.step()
            total += losses.to(total).sum()
            n_rows += len(losses)
            on_batch(len(scaled))
        return float(total / n_rows)

    @torch.inference_mode()
    def validation_loss(self, batches: Iterator[Tensor]) -> float:
        """Return the mean loss per row of scaled batches (n, d); NaN without rows."""
        total, n_rows = 0.0, 0
        for scaled in batches:
            losses = halving(partial(self._losses, self._for_each_member(scaled)), len(scaled))
            total += float(losses.sum())
            n_rows += len(scaled)
        return total / n_rows if n_rows else float("nan")

    def _filled(self, scaled: Tensor) -> Tensor:
        """Return rows (n, d) without gaps; prototypes are fitted to values of similar rows."""
        fill = self.fill.to(scaled.device)
        if not self.model.prototypes or self.mixed is not None:
            return fill_gaps(scaled, fill)
        return fill_from_similar(scaled, fill)

    def _for_each_member(self, scaled: Tensor) -> Tensor:
        return scaled.to(self.ensemble.device).expand(self.model.members, *scaled.shape)

    def _inputs(self, clean: Tensor) -> Tensor:
        """Return what the members see of rows (members, n, d) without gaps: with noise."""
        if self.mixed is not None:
            return self.mixed.inputs(clean, self.model.noise, self.generator)
        if not self.model.noise:
            return clean
        noise = torch.randn(clean.shape, generator=self.generator).to(clean.device)
        return clean + self.model.noise * noise

    def _add_gradients(self, noisy: Tensor, clean: Tensor, trim: float, pieces: int) -> Tensor:
        """Accumulate the gradients of a batch (members, n, d), piece by piece.

        Returns the losses of the rows that were not trimmed.
        """
        self.optimizer.zero_grad(set_to_none=True)
        kept = []
        chunks = zip(noisy.chunk(pieces, dim=1), clean.chunk(pieces, dim=1), strict=True)
        for inputs, targets in chunks:
            latents, logits = self.ensemble(inputs)
            losses = without_worst(self._row_losses(logits, targets), trim)
            cost = self.model.members * losses.mean()
            cost = cost + penalty(self.ensemble.weights, latents, self.model)
            share = inputs.shape[1] / noisy.shape[1]
            (cost * share).backward()  # type: ignore[no-untyped-call] # torch leaves it open
            kept.append(losses.detach())
        return torch.cat(kept)

    def _losses(self, clean: Tensor, pieces: int) -> Tensor:
        """Return the losses of the rows of a batch (members, n, d), piece by piece."""
        parts = clean.chunk(pieces, dim=1)
        return torch.cat([self._losses_of(part) for part in parts])

    def _losses_of(self, clean: Tensor) -> Tensor:
        filled = fill_gaps(clean, self.fill)
        _, logits = self.ensemble(self.mixed.expansion(filled) if self.mixed else filled)
        return self._row_losses(logits, clean)

    def _row_losses(self, logits: Tensor, clean: Tensor) -> Tensor:
        if self.mixed is not None:
            return self.mixed.row_losses(logits, clean)
        return row_losses(logits, clean, self.model)
