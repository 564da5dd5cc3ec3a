"""Training as a list of steps.

Scan the clean rows, build the network, fit it, and measure it on rows it was not fitted on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aemodel.devices.places import require_float32
from aemodel.errors import DataError
from aemodel.model import Autoencoder
from aemodel.network.build import build_network
from aemodel.network.components import start_from_components
from aemodel.network.dense import DenseAutoencoder, start_from_rows
from aemodel.network.ensemble import Ensemble
from aemodel.network.expansion import Expansion
from aemodel.network.gaps import GapFiller
from aemodel.pictures.features import PictureFeatures
from aemodel.rows.blocks import CleanBlocks
from aemodel.rows.layout import Layout
from aemodel.rows.preparation.prepare import prepare_rows
from aemodel.rows.training_rows import FitRows, ReadChunks, ReadShuffled
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.epochs.adam import Adam
from aemodel.training.epochs.batches import Batches
from aemodel.training.epochs.best_weights import BestWeights
from aemodel.training.epochs.course import NO_CALLS, BetweenEpochs, Course
from aemodel.training.epochs.ranks import Ranks
from aemodel.training.epochs.schedule import Schedule
from aemodel.training.epochs.steps import Steps
from aemodel.training.losses import MixedLoss, start_outputs
from aemodel.training.measure import measure_model, unmeasured_model
from aemodel.training.reference_rows import sample_fit_rows
from aemodel.training.result import Epoch, History, Trained
from aemodel.training.trimming import MOST_COMPARED, find_trimming

MOST_START_ROWS = 10_000  # that prototypes are drawn from
MOST_PICTURES = 2_000  # that features of pictures are scaled on
MOST_COMPONENT_ROWS = 2_000  # that principal components are computed from
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
    features: PictureFeatures | None = None,
) -> Trained:
    """Fit an autoencoder to clean rows and measure it.

    features: what model.features asks for, in any units.

    Raises DataError if there are too few rows, SettingsError if the settings do not fit the values.
    """
    assert (features is not None) == (model.features != "none")
    fitted, rows, history = fit_autoencoder(
        clean, model=model, train=train, device=device, between=between
    )
    if features is not None:
        sample = rows.tensor(sample_fit_rows(rows, MOST_PICTURES))
        features = features.fitted_to(sample.to(device))
    return measure_model(replace(fitted, features=features), rows, history=history)


def fit_autoencoder(
    clean: CleanRows,
    *,
    model: ModelSettings,
    train: TrainSettings,
    device: str = "cpu",
    between: BetweenEpochs = NO_CALLS,
) -> tuple[Autoencoder, FitRows, History]:
    """Fit an autoencoder without measuring it, which several processes can do together."""
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
    return fitted, rows, history


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
    levels = rows.scaler.levels
    expansion = None if levels is None else Expansion(layout.kinds, levels, "cpu")
    inputs = _seen(rows, sample_fit_rows(rows, MOST_START_ROWS), expansion)
    outputs = inputs if expansion is None else start_outputs(inputs, expansion)
    for member in members:
        assert isinstance(member, DenseAutoencoder), "ModelSettings requires it for prototypes"
        start_from_rows(member, inputs, generator, outputs=outputs)


def _start_components(members: Iterable[nn.Module], rows: FitRows) -> None:
    sample = _seen(rows, sample_fit_rows(rows, MOST_COMPONENT_ROWS), None)
    for member in members:
        assert isinstance(member, DenseAutoencoder), "is_linear requires it"
        start_from_components(member, sample)


def _seen(rows: FitRows, sample: NDArray[np.generic], expansion: Expansion | None) -> Tensor:
    """Return what a network sees of a sample of rows (n, *row_shape), (n, width) on the CPU."""
    filled = rows.tensor(sample)
    seen = filled if expansion is None else expansion(filled)
    filler = GapFiller.of(rows.scaler, expansion, "cpu")
    return seen if filler is None else filler(seen, filler.gaps(rows.gappy_tensor(sample)))


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
    require_float32(ensemble.device)
    optimizer = Adam(ensemble.weights, train.learning_rate)
    fill = torch.from_numpy(rows.scaler.fill).to(ensemble.device)
    ranks = Ranks.current()
    ranks.require_shares(train)
    expansion = None if mixed is None else mixed.expansion
    filler = GapFiller.of(rows.scaler, expansion, ensemble.device)
    schedule = Schedule(train.learning_rate, train.epochs * rows.n_fit)
    steps = Steps(ensemble, optimizer, schedule, model, generator, fill, filler, mixed, ranks)
    batches = Batches(rows, ensemble.device)
    best = BestWeights(ensemble, train.patience)
    course = Course(ensemble, optimizer, generator, best)
    if state := ranks.of_first(between.resume(), ensemble.device):
        course.resume(state)
        between.report(state.epochs[-1])
    epochs = course.epochs
    while len(epochs) < train.epochs and not best.is_stale(len(epochs)):
        epoch = _run_epoch(steps, batches, len(epochs) + 1, between)
        epochs.append(epoch)
        between.report(epoch)
        _require_finite(epoch)
        best.update(epoch)
        between.keep(course.state)
    best.restore()
    return History(tuple(epochs), best.number or train.epochs)


def _run_epoch(steps: Steps, batches: Batches, number: int, between: BetweenEpochs) -> Epoch:
    # an unfitted network cannot tell the worst rows
    trim = batches.train.trim if number > 1 else 0.0
    fit = batches.fit(steps.generator)
    before = (number - 1) * batches.n_fit
    train_loss = steps.one_pass(fit, before, trim, lambda done: between.batch(done, batches.n_fit))
    return Epoch(number, train_loss, steps.validation_loss(batches.validation()))


def _require_finite(epoch: Epoch) -> None:
    if not np.isfinite(epoch.train_loss):
        raise DataError(
            f"epoch {epoch.number}: the loss is {epoch.train_loss}; "
            "lower train.learning_rate, or choose another model.scaling"
        )
