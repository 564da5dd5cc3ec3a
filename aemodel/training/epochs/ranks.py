"""Processes that fit one network together, each on its share of every batch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from aemodel.errors import SettingsError
from aemodel.settings import TrainSettings
from aemodel.training.epochs.state import TrainingState, state_bytes, state_from_bytes


@dataclass(frozen=True)
class Ranks:
    """Number of this process, and how many there are in the process group, if there is one.

    All read the same rows and draw the same batches, so that together they take the steps of one
    process. Weights stay equal, since all add the same sums.
    """

    rank: int = 0
    count: int = 1

    @classmethod
    def current(cls) -> Ranks:
        """Return the ranks of this process; of one process without a group."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return cls()
        return cls(distributed.get_rank(), distributed.get_world_size())

    def require_shares(self, train: TrainSettings) -> None:
        """Raise SettingsError if the loss compares the rows of a whole batch with each other."""
        if self.count > 1 and train.trim:
            raise SettingsError(
                f"train.trim must be 0 with several processes. Got {train.trim} instead; "
                "start one process."
            )

    def share(self, n: int) -> tuple[slice, float]:
        """Return which of the n rows of a batch this process takes, and their share of the loss.

        A batch of fewer rows than processes is taken whole by each of them.
        """
        if n < self.count:
            return slice(None), 1 / self.count
        some = slice(self.rank, None, self.count)
        return some, len(range(n)[some]) / n

    def add_gradients(self, weights: Iterable[Tensor]) -> None:
        """Add up the gradients of all processes, in one message."""
        if self.count == 1:
            return
        grads = [weight.grad for weight in weights if weight.grad is not None]
        together = torch.cat([grad.flatten() for grad in grads])
        self.add_up(together)
        parts = torch.split(together, [grad.numel() for grad in grads])
        for grad, added in zip(grads, parts, strict=True):
            grad.copy_(added.view_as(grad))

    def add_up(self, values: Tensor) -> None:
        """Add the values of all processes, in place."""
        if self.count > 1:
            distributed.all_reduce(values)

    def of_first(self, state: TrainingState | None, device: torch.device) -> TrainingState | None:
        """Return the state that the first process resumes from, in every process."""
        if self.count == 1:
            return state
        content = state_bytes(state) if state else b""
        size = torch.tensor(len(content), device=device)
        distributed.broadcast(size, 0)
        if not int(size):
            return None
        found = torch.zeros(int(size), dtype=torch.uint8, device=device)
        if self.rank == 0:
            found.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        distributed.broadcast(found, 0)
        return state_from_bytes(found.cpu().numpy().tobytes())
