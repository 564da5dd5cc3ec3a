"""Networks of one architecture, fitted together as one batched network.

They differ in their initial weights and in the noise added to their inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from aemodel.devices.places import is_host
from aemodel.network.dense import DenseAutoencoder, Transposed
from aemodel.network.formulas import DenseLayer, gradients_of_dense, run_dense


class Ensemble:
    """Members with stacked weights; a single member keeps its own, which is faster."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        """Stack the weights of `members`, which have the same architecture."""
        self.members = tuple(members)
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
        if self.has_formulas and not torch.is_grad_enabled():
            layers = list(self._skeleton.get_submodule("encoder").children())
            values = self.run(inputs)
            return values[len(layers)], values[-1]
        if not self._stacked:
            latents, logits = self.members[0](inputs[0])
            return latents[None], logits[None]
        if self._has_own_layers:
            latents = self._run_half("encoder", inputs)
            return latents, self._run_half("decoder", latents)
        found: tuple[Tensor, Tensor] = vmap(self._one)(self._stacked, inputs)
        return found

    @cached_property
    def has_formulas(self) -> bool:
        """Whether `run` and `add_gradients` know all layers, and are faster than torch here."""
        return self._has_own_layers and is_host(self.device)

    def run(self, inputs: Tensor) -> list[Tensor]:
        """Return inputs (members, n, d) and what each layer makes of them, the logits last."""
        return run_dense(self._layers, inputs)

    def add_gradients(self, values: Sequence[Tensor], gradient: Tensor) -> None:
        """Add to the gradients of all weights, as `backward` of torch does.

        values: from `run`. gradient: (members, n, d), that of the logits.
        """
        found = gradients_of_dense(self._layers, values, gradient)
        for weight, of_weight in zip(self.weights.values(), found, strict=True):
            added = of_weight.view_as(weight)
            weight.grad = added if weight.grad is None else weight.grad.add_(added)

    @cached_property
    def _layers(self) -> list[DenseLayer]:
        """The layers of encoders and decoders, whose weights stay those of the members."""
        found = []
        for half in ("encoder", "decoder"):
            for name, layer in self._skeleton.get_submodule(half).named_children():
                own = [f"{half}.{name}.{kind}" for kind, _ in layer.named_parameters()]
                weights = [self.weights[each].detach() for each in own]
                found.append(DenseLayer(layer, *(w if self._stacked else w[None] for w in weights)))
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
                inputs = torch.baddbmm(bias[:, None], inputs, weight.mT)
            else:
                inputs = layer(inputs)
        return inputs

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
