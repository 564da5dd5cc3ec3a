"""Early stopping: the weights of the epoch with the lowest validation loss."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from aemodel.network.ensemble import Ensemble
from aemodel.training.result import Epoch


class BestWeights:
    """The weights of the best epoch so far.

    Without patience, nothing is kept and the last weights stay.
    """

    def __init__(self, ensemble: Ensemble, patience: int) -> None:
        """Keep weights of `ensemble`; stop after `patience` epochs without improvement."""
        self.ensemble = ensemble
        self.patience = patience
        self.number = 0
        self.loss = np.inf
        self.weights: dict[str, Tensor] | None = None

    def update(self, epoch: Epoch) -> None:
        """Keep the current weights if this epoch is the best so far."""
        if self.patience and epoch.validation_loss < self.loss:
            self.resume(epoch, self.ensemble.snapshot())

    def resume(self, epoch: Epoch, weights: dict[str, Tensor]) -> None:
        """Keep the weights of an epoch as the best so far."""
        self.number, self.loss, self.weights = epoch.number, epoch.validation_loss, weights

    def is_stale(self, number: int) -> bool:
        """Whether `patience` epochs up to this one brought no improvement."""
        return self.weights is not None and number - self.number >= self.patience

    def restore(self) -> None:
        """Put the best weights back."""
        if self.weights is not None:
            self.ensemble.restore(self.weights)
