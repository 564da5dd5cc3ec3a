"""Networks of one architecture, fitted together as one batched network.

They differ in their initial weights and in the noise added to their inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from aemodel.network.dense import DenseAutoencoder, Transposed
from aemodel.network.products import MemberLinear


class Ensemble:
    """Members with stacked weights; a single member keeps its own, which is faster."""

    def __init__(self, members: Sequence[nn.Module], *, wide: bool = False) -> None:
        """Stack the weights of `members`, which have the same architecture.

        wide: whether their rows have columns of several kinds.
        """
        self.members, self._wide = tuple(members), wide
        self._skeleton = deepcopy(members[0]).to("meta")
        self._stacked: dict[str, Tensor] = (
            stack_module_state(list(members))[0] if len(members) > 1 else {}
        )

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """All weights by name; those of several members are stacked along the first axis."""
        return self._stacked or dict(self.members[0].named_parameters())

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.members[0].parameters()).device

    def __call__(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Map scaled rows (members, n, d) to latents (members, n, k) and logits (members, n, d)."""
        if not self._stacked:
            latents, logits = self.members[0](inputs[0])
            return latents[None], logits[None]
        if self._has_own_layers:
            latents = self._run_half("encoder", inputs)
            return latents, self._run_half("decoder", latents)
        found: tuple[Tensor, Tensor] = vmap(self._one)(self._stacked, inputs)
        return found

    @cached_property
    def _has_own_layers(self) -> bool:
        """Whether all layers are dense, and none uses the weights of another."""
        return isinstance(self._skeleton, DenseAutoencoder) and not any(
            isinstance(layer, Transposed) for layer in self._skeleton.modules()
        )

    def _run_half(self, half: str, inputs: Tensor) -> Tensor:
        """Apply the encoders or decoders: one batched product a layer, without vmap's overhead."""
        for name, layer in self._skeleton.get_submodule(half).named_children():
            if isinstance(layer, nn.Linear):
                weight, bias = (
                    self._stacked[f"{half}.{name}.{kind}"] for kind in ("weight", "bias")
                )
                inputs = self._linear(inputs, weight, bias)
            else:
                inputs = layer(inputs)
        return inputs

    def _linear(self, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        if not self._wide:
            return torch.baddbmm(bias[:, None], inputs, weight.mT)
        apply: Callable[..., Tensor] = MemberLinear.apply  # torch leaves its type open
        return apply(inputs, weight, bias)

    def _one(self, weights: dict[str, Tensor], inputs: Tensor) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = functional_call(self._skeleton, weights, (inputs,))
        return found

    def snapshot(self) -> dict[str, Tensor]:
        """Copy all weights."""
        return {name: weight.detach().clone() for name, weight in self.weights.items()}

    @torch.no_grad()
    def restore(self, snapshot: dict[str, Tensor]) -> None:
        """Copy the weights of a snapshot back in place."""
        for name, weight in self.weights.items():
            weight.copy_(snapshot[name])

    @torch.no_grad()
    def unstacked(self) -> tuple[nn.Module, ...]:
        """Return the members with their fitted weights, in evaluation mode."""
        for name, stacked in self._stacked.items():
            for member, weight in zip(self.members, stacked, strict=True):
                member.get_parameter(name).copy_(weight)
        return tuple(member.eval() for member in self.members)
