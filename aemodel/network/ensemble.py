"""Networks of one architecture, fitted together as one batched network.

What differs between them is where they start, and the noise they see.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap


class Ensemble:
    """Members with stacked weights.

    One member alone keeps its own weights: stacking would only cost time.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        self.members = tuple(members)
        self._skeleton = deepcopy(members[0]).to("meta")
        self._stacked: dict[str, Tensor] = (
            stack_module_state(list(members))[0] if len(members) > 1 else {}
        )

    @property
    def weights(self) -> dict[str, Tensor]:
        """All weights by name, those of several members stacked along their first axis."""
        return self._stacked or dict(self.members[0].named_parameters())

    def __call__(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled rows (members, n, d), a row of inputs for each member, to latents (members, n, k) and logits (members, n, d)."""
        if not self._stacked:
            latents, logits = self.members[0](inputs[0])
            return latents[None], logits[None]
        found: tuple[Tensor, Tensor] = vmap(self._one)(self._stacked, inputs)
        return found

    def _one(self, weights: dict[str, Tensor], inputs: Tensor) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = functional_call(self._skeleton, weights, (inputs,))
        return found

    def snapshot(self) -> dict[str, Tensor]:
        """A copy of all weights."""
        return {name: weight.detach().clone() for name, weight in self.weights.items()}

    @torch.no_grad()
    def restore(self, snapshot: dict[str, Tensor]) -> None:
        """Put the weights of a snapshot in place."""
        for name, weight in self.weights.items():
            weight.copy_(snapshot[name])

    @torch.no_grad()
    def unstacked(self) -> tuple[nn.Module, ...]:
        """The members, each with its fitted weights, ready to be applied."""
        for name, stacked in self._stacked.items():
            for member, weight in zip(self.members, stacked, strict=True):
                member.get_parameter(name).copy_(weight)
        return tuple(member.eval() for member in self.members)
