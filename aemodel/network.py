"""The dense autoencoder as plain modules: no trainer, no data, no scaling in sight."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from aemodel.settings import ModelSettings

ACTIVATIONS = {"relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU, "tanh": nn.Tanh, "elu": nn.ELU}


class Transposed(nn.Module):
    """A linear layer whose weights are another's, transposed; only the bias is its own."""

    def __init__(self, other: nn.Linear) -> None:
        super().__init__()
        self._other = [other]  # in a list, so that it is not registered a second time
        self.bias = nn.Parameter(torch.zeros(other.in_features))

    @property
    def weight(self) -> Tensor:
        """(out, in), a view of the other layer's weights."""
        return self._other[0].weight.t()

    def forward(self, inputs: Tensor) -> Tensor:
        """(n, in) to (n, out)."""
        return functional.linear(inputs, self.weight, self.bias)


class DenseAutoencoder(nn.Module):
    """d - hidden - latent - hidden reversed - d. The latent layer has the activation, the last layer none (its output are logits)."""

    def __init__(self, n_features: int, settings: ModelSettings, generator: torch.Generator) -> None:
        super().__init__()
        widths = [n_features, *settings.hidden, settings.latent]
        linear = [_glorot(into, out, generator) for into, out in pairwise(widths)]
        self.encoder = _stack(linear, settings.activation, last=True)
        back: list[nn.Module] = (
            [Transposed(layer) for layer in reversed(linear)]
            if settings.tied
            else [_glorot(into, out, generator) for into, out in pairwise(reversed(widths))]
        )
        self.decoder = _stack(back, settings.activation, last=False)

    def forward(self, scaled: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled rows (n, d) to latents (n, k) and logits (n, d)."""
        latents = self.encoder(scaled)
        return latents, self.decoder(latents)


def build_decoder(widths: Sequence[int], activation: str) -> nn.Sequential:
    """An empty decoder with these widths, latent first, to load weights into."""
    return _stack([_empty(into, out) for into, out in pairwise(widths)], activation, last=False)


def finish_output(logits: Tensor, output: str) -> Tensor:
    """The output activation: logits to scaled rows."""
    if output == "sigmoid":
        return torch.sigmoid(logits)
    return torch.relu(logits) if output == "relu" else logits


def _stack(layers: Sequence[nn.Module], activation: str, *, last: bool) -> nn.Sequential:
    parts: list[nn.Module] = []
    for index, layer in enumerate(layers):
        parts.append(layer)
        if last or index < len(layers) - 1:
            parts.append(ACTIVATIONS[activation]())
    return nn.Sequential(*parts)


def _glorot(into: int, out: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer with Glorot uniform weights and zero biases (Glorot & Bengio 2010)."""
    layer = _empty(into, out)
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


def _empty(into: int, out: int) -> nn.Linear:
    """A linear layer with no values yet: its own initialisation would move the global generator."""
    return nn.Linear(into, out, device="meta").to_empty(device="cpu")
