"""Training, as a list of steps.

Look at the clean rows, build the network, fit it, measure it on rows it was not fitted on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from aemodel.errors import DataError
from aemodel.network.build import build_network
from aemodel.network.dense import DenseAutoencoder, finish_output, start_from_rows
from aemodel.network.ensemble import Ensemble
from aemodel.network.out_of_memory import halving
from aemodel.rows.layout import Layout
from aemodel.rows.training_rows import FitRows, prepare_rows
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.measure import measure, some_fit_rows
from aemodel.training.result import Epoch, Trained

MOST_START_ROWS = 10_000  # that prototypes are drawn from
log = logging.getLogger(__name__)
ReadChunks = Callable[[], Iterable[NDArray[Any]]]


def train_autoencoder(
    read_chunks: ReadChunks,
    *,
    layout: Layout,
    model: ModelSettings,
    train: TrainSettings,
    memory_bytes: int,
    device: str = "cpu",
    on_epoch: Callable[[Epoch], None] = lambda _: None,
) -> Trained:
    """Fit an autoencoder to clean rows.

    `read_chunks()` starts a pass over them, as arrays (n, *layout.row_shape) in source order. Rows
    are kept in memory where they fit into `memory_bytes`, else they stream through a shuffle buffer
    of that size.

    Raises DataError where there are too few rows, SettingsError where the settings do not fit the
    values.
    """
    generator = torch.Generator().manual_seed(train.seed)
    members = [build_network(layout.row_shape, model, generator) for _ in range(model.members)]
    rows = prepare_rows(
        read_chunks, layout=layout, model=model, train=train, memory_bytes=memory_bytes
    )
    for member in members if model.prototypes else ():
        assert isinstance(member, DenseAutoencoder), (
            "the settings allow prototypes to no other network"
        )
        start_from_rows(member, rows.tensor(some_fit_rows(rows, MOST_START_ROWS)), generator)
    ensemble = Ensemble([member.to(device) for member in members])
    history, best = fit_ensemble(
        ensemble,
        rows,
        model=model,
        train=train,
        device=device,
        generator=generator,
        on_epoch=on_epoch,
    )
    return measure(
        ensemble.unstacked(),
        rows,
        history=history,
        best_epoch=best,
        model=model,
        train=train,
        layout=layout,
        device=device,
    )


def fit_ensemble(
    ensemble: Ensemble,
    rows: FitRows,
    *,
    model: ModelSettings,
    train: TrainSettings,
    device: str,
    generator: torch.Generator,
    on_epoch: Callable[[Epoch], None],
) -> tuple[tuple[Epoch, ...], int]:
    """Fit `ensemble` in place.

    Return the history and the number of the epoch whose weights it holds.
    """
    optimizer = torch.optim.Adam(ensemble.weights.values(), lr=train.learning_rate)
    history: list[Epoch] = []
    best, best_loss, best_weights = train.epochs, np.inf, None
    for number in range(1, train.epochs + 1):
        trim = (
            train.trim if number > 1 else 0.0
        )  # a network that has seen nothing yet cannot tell the worst rows
        train_loss = _fit_once(
            ensemble,
            rows.batches(train.batch_size, generator),
            optimizer,
            model,
            device,
            generator,
            trim,
        )
        validation_loss = _validation_loss(ensemble, rows.validation_batches(), model, device)
        history.append(Epoch(number, train_loss, validation_loss))
        on_epoch(history[-1])
        if not np.isfinite(train_loss):
            raise DataError(
                f"epoch {number}: the loss is {train_loss}; lower train.learning_rate, or choose another model.scaling"
            )
        if train.patience and validation_loss < best_loss:
            best, best_loss, best_weights = number, validation_loss, ensemble.snapshot()
        if train.patience and number - best >= train.patience and best_weights is not None:
            break
    if best_weights is not None:
        ensemble.restore(best_weights)
    return tuple(history), best


def _fit_once(
    ensemble: Ensemble,
    batches: Iterator[Tensor],
    optimizer: torch.optim.Optimizer,
    model: ModelSettings,
    device: str,
    generator: torch.Generator,
    trim: float,
) -> float:
    total = torch.zeros(
        (), dtype=torch.float64, device="cpu" if device == "mps" else device
    )  # mps knows no float64
    n_rows = 0
    for scaled in batches:
        clean = scaled.to(device).expand(model.members, *scaled.shape)
        noisy = (
            clean + model.noise * torch.randn(clean.shape, generator=generator).to(device)
            if model.noise
            else clean
        )
        losses = halving(partial(_add_gradients, ensemble, noisy, clean, model, trim), len(scaled))
        optimizer.step()
        total += losses.to(total).sum()
        n_rows += len(losses)
    return float(total / n_rows)


def _add_gradients(
    ensemble: Ensemble, noisy: Tensor, clean: Tensor, model: ModelSettings, trim: float, pieces: int
) -> Tensor:
    """Put the gradients of a batch (members, n, d) into the weights, piece by piece.

    Return the rows' losses, the worst left out.
    """
    for weight in ensemble.weights.values():
        weight.grad = None
    kept = []
    for inputs, targets in zip(noisy.chunk(pieces, dim=1), clean.chunk(pieces, dim=1), strict=True):
        latents, logits = ensemble(inputs)
        losses = without_worst(row_losses(logits, targets, model), trim)
        cost = model.members * losses.mean() + penalty(ensemble.weights, latents, model)
        (cost * (inputs.shape[1] / noisy.shape[1])).backward()  # type: ignore[no-untyped-call] # torch leaves it open
        kept.append(losses.detach())
    return torch.cat(kept)


@torch.inference_mode()
def _validation_loss(
    ensemble: Ensemble, batches: Iterator[Tensor], model: ModelSettings, device: str
) -> float:
    total, n_rows = 0.0, 0
    for scaled in batches:
        clean = scaled.to(device).expand(model.members, *scaled.shape)
        total += float(halving(partial(_losses, ensemble, clean, model), len(scaled)).sum())
        n_rows += len(scaled)
    return total / n_rows if n_rows else float("nan")


def _losses(ensemble: Ensemble, clean: Tensor, model: ModelSettings, pieces: int) -> Tensor:
    """Losses of the rows of a batch (members, n, d), piece by piece."""
    return torch.cat(
        [row_losses(ensemble(part)[1], part, model) for part in clean.chunk(pieces, dim=1)]
    )


def row_losses(logits: Tensor, clean: Tensor, model: ModelSettings) -> Tensor:
    """Loss of each row, (n,): the mean over members and features of the squared error, or of the binary cross-entropy.

    logits, clean: (members, n, d).
    """
    if model.loss == "bce":
        losses = functional.binary_cross_entropy_with_logits(
            logits, clean.clamp(0, 1), reduction="none"
        )
    else:
        losses = functional.mse_loss(finish_output(logits, model.output), clean, reduction="none")
    return losses.mean(dim=(0, 2))


def without_worst(losses: Tensor, share: float) -> Tensor:
    """The losses (n,) without the `share` of them that are highest.

    Iteratively trimmed loss (Shen & Sanghavi, ICML 2019).
    """
    kept = len(losses) - int(share * len(losses))
    return losses if kept == len(losses) else losses.topk(kept, largest=False).values


def penalty(weights: Mapping[str, Tensor], latents: Tensor, model: ModelSettings) -> Tensor:
    """l1 times the mean absolute latent, plus l2 times the sum of squared weights.

    Of several members, their sum.
    """
    cost = torch.zeros((), device=latents.device)
    if model.l1:
        cost = cost + model.l1 * model.members * latents.abs().mean()
    if model.l2:
        cost = (
            cost
            + model.l2
            * torch.stack(
                [weight.square().sum() for name, weight in weights.items() if "weight" in name]
            ).sum()
        )
    return cost
