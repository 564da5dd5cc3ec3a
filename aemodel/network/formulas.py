"""Gradients of dense layers of several members by formula, on a CPU.

A step on a small batch costs mostly what torch does around each operation: without a record of the
operations, and with a formula of its own for the softmax, it takes two thirds of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from aemodel.network.products import products_of_members

OfActivation = Callable[[Tensor, Tensor, Tensor], Tensor]  # gradient, inputs, outputs


class DenseLayer(NamedTuple):
    """A linear layer, with weights (members, o, k) and biases (members, o), or an activation."""

    layer: nn.Module
    weight: Tensor | None = None
    bias: Tensor | None = None


@torch.no_grad()
def run_dense(layers: Sequence[DenseLayer], inputs: Tensor) -> list[Tensor]:
    """Return inputs (members, n, k), and what each layer makes of them."""
    values = [inputs]
    for layer, weight, bias in layers:
        if weight is None or bias is None:
            values.append(layer(values[-1]))
        else:
            values.append(products_of_members(values[-1], weight).add_(bias[:, None]))
    return values


@torch.no_grad()
def gradients_of_dense(
    layers: Sequence[DenseLayer], values: Sequence[Tensor], gradient: Tensor
) -> list[Tensor]:
    """Return the gradients of the weights and biases of all linear layers, in order.

    values: from `run_dense`. gradient: (members, n, o), that of the last of them.
    """
    found: list[Tensor] = []
    for index, (layer, weight, _) in reversed(list(enumerate(layers))):
        if weight is None:
            of_activation = OF_ACTIVATIONS[type(layer)]
            gradient = of_activation(gradient, values[index], values[index + 1])
            continue
        of_weight = products_of_members(gradient.mT, values[index].mT)
        found += [gradient.sum(dim=1), of_weight.contiguous()]
        if index:
            gradient = products_of_members(gradient, weight.mT)
    return found[::-1]


def _of_softmax(gradient: Tensor, _: Tensor, weights: Tensor) -> Tensor:
    found = weights * gradient
    return found.addcmul_(weights, found.sum(dim=-1, keepdim=True), value=-1)


_aten = torch.ops.aten
OF_ACTIVATIONS: dict[type[nn.Module], OfActivation] = {
    nn.Identity: lambda gradient, _, __: gradient,
    nn.Softmax: _of_softmax,
    nn.ReLU: lambda gradient, _, outputs: _aten.threshold_backward(gradient, outputs, 0),
    nn.SiLU: lambda gradient, inputs, _: _aten.silu_backward(gradient, inputs),
    nn.GELU: lambda gradient, inputs, _: _aten.gelu_backward(gradient, inputs),
    nn.Tanh: lambda gradient, _, outputs: _aten.tanh_backward(gradient, outputs),
    nn.ELU: lambda gradient, inputs, _: _aten.elu_backward(gradient, 1, 1, 1, False, inputs),
}
