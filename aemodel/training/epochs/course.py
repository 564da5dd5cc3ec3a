"""The course of a training: what changes from epoch to epoch, and who is told of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aemodel.network.ensemble import Ensemble
from aemodel.training.epochs.adam import Adam
from aemodel.training.epochs.best_weights import BestWeights
from aemodel.training.epochs.state import ByName, TrainingState
from aemodel.training.result import Epoch


def _nothing_to_resume() -> TrainingState | None:
    return None


@dataclass(frozen=True)
class BetweenEpochs:
    """What training calls between epochs.

    resume: called once, after at least one pass over all rows, for the state to continue from; None
        to start with the first epoch.
    report: called with each epoch, and with the one that training resumes after.
    keep: called after each epoch with a function that returns the state, which copies all weights.
    batch: called after each batch with the number of its rows and of those of an epoch.
    """

    resume: Callable[[], TrainingState | None] = _nothing_to_resume
    report: Callable[[Epoch], None] = lambda _: None
    keep: Callable[[Callable[[], TrainingState]], None] = lambda _: None
    batch: Callable[[int, int], None] = lambda _, __: None


NO_CALLS = BetweenEpochs()


@dataclass(frozen=True)
class Course:
    """An ensemble, its optimizer, the source of its noise, the best weights, and all epochs."""

    ensemble: Ensemble
    optimizer: Adam
    generator: torch.Generator
    best: BestWeights
    epochs: list[Epoch] = field(default_factory=list)

    def state(self) -> TrainingState:
        """Copy all that changes."""
        return TrainingState(
            epochs=tuple(self.epochs),
            weights=_arrays(self.ensemble.weights),
            optimizer=_arrays(self.optimizer.state()),
            generator=self.generator.get_state().numpy(),
            best=self.best.number,
            best_weights=_arrays(self.best.weights or {}),
        )

    def resume(self, state: TrainingState) -> None:
        """Continue from a state of the same rows and settings."""
        self.epochs[:] = state.epochs
        self.ensemble.restore(_tensors(state.weights))
        self.generator.set_state(torch.tensor(state.generator))
        self.optimizer.resume(_tensors(state.optimizer))
        if state.best:
            self.best.resume(state.epochs[state.best - 1], _tensors(state.best_weights))


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[np.generic]]:
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}


def _tensors(arrays: ByName) -> dict[str, Tensor]:
    return {name: torch.tensor(array) for name, array in arrays.items()}
