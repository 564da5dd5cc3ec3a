"""The optimizer of training."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim.adam import adam

FUSED = ("cpu", "cuda")
BETAS = (0.9, 0.999)
EPSILON = 1e-8


class Adam:
    """Adam by torch's function, with the defaults and the bits of `torch.optim.Adam`.

    That class imports torch's compiler, which takes more than a second of CPU time.
    """

    def __init__(self, weights: Mapping[str, Tensor], learning_rate: float) -> None:
        """Start without any step; weights: by name, all on one device."""
        self.weights = dict(weights)
        device = next(iter(self.weights.values())).device
        self.fused = device.type in FUSED
        self._rate: float | Tensor = learning_rate
        if device.type == "cuda":  # a recorded step reads it there
            self._rate = torch.tensor(learning_rate, device=device)
        self.steps = {
            name: torch.zeros((), device=device if self.fused else "cpu") for name in weights
        }
        self.means = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        self.squares = {name: torch.zeros_like(weight) for name, weight in weights.items()}

    def set_rate(self, learning_rate: float) -> None:
        """Set the learning rate of the next steps."""
        if isinstance(self._rate, Tensor):
            self._rate.fill_(learning_rate)
        else:
            self._rate = learning_rate

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for weight in self.weights.values():
            weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move the weights that have a gradient by one step, in place."""
        moved = {name: each.grad for name, each in self.weights.items() if each.grad is not None}
        adam(
            [self.weights[name] for name in moved],
            list(moved.values()),
            [self.means[name] for name in moved],
            [self.squares[name] for name in moved],
            [],
            [self.steps[name] for name in moved],
            fused=self.fused,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=self._rate,
            weight_decay=0.0,
            eps=EPSILON,
            maximize=False,
        )

    def state(self) -> dict[str, Tensor]:
        """Return what changes with each step, by name; not copied."""
        return {f"{kind}.{name}": each for kind, name, each in self._parts()}

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state of the same weights."""
        for kind, name, each in self._parts():
            each.copy_(state[f"{kind}.{name}"])

    def _parts(self) -> list[tuple[str, str, Tensor]]:
        kinds = {"step": self.steps, "mean": self.means, "square": self.squares}
        return [(kind, name, each) for kind in kinds for name, each in kinds[kind].items()]
