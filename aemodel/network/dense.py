"""The dense autoencoder as plain modules, without trainer, data or scaling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from aemodel.settings import ModelSettings

M = TypeVar("M", bound=nn.Module)
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "identity": nn.Identity,
    "softmax": partial(nn.Softmax, dim=-1),  # in a decoder with prototypes
}
LEAST_WIDTH = 1e-3  # of the softmax around a prototype's latent
UNUSED = -1e4  # bias of a prototype without a row: its softmax weight is 0


class Transposed(nn.Module):
    """A linear layer that uses another layer's weights, transposed, with a bias of its own."""

    def __init__(self, other: nn.Linear) -> None:
        """Share the weights of `other`."""
        super().__init__()
        self._other = [other]  # in a list, so that torch does not register it twice
        self.bias = nn.Parameter(torch.zeros(other.in_features))

    @property
    def weight(self) -> Tensor:
        """A view (out, in) of the other layer's weights."""
        return self._other[0].weight.t()

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (n, in) to (n, out)."""
        return functional.linear(inputs, self.weight, self.bias)


class DenseAutoencoder(nn.Module):
    """d - hidden - latent - hidden reversed - d.

    The last layer has no activation: it outputs logits. The latents have one only without hidden
    layers, where the encoder would otherwise be linear. With prototypes, the decoder is latent -
    softmax over prototypes - d: a reconstruction is a weighted mean of learned rows, so that rows
    far from all clean rows cannot be reconstructed.
    """

    def __init__(
        self, n_features: int, settings: ModelSettings, generator: torch.Generator
    ) -> None:
        """Initialize the weights, encoder first."""
        super().__init__()
        widths = [n_features, *settings.hidden, settings.latent]
        linear = [_glorot(into, out, generator) for into, out in pairwise(widths)]
        activated = not (settings.hidden or settings.prototypes)
        self.encoder = _stack(linear, settings.activation, last=activated)
        back: list[nn.Module]
        if settings.tied:
            back = [Transposed(layer) for layer in reversed(linear)]
        else:
            mirrored = pairwise(decoder_widths(n_features, settings))
            back = [_glorot(into, out, generator) for into, out in mirrored]
        self.decoder = _stack(back, decoder_activation(settings), last=False)

    def forward(self, scaled: Tensor) -> tuple[Tensor, Tensor]:
        """Map scaled rows (n, d) to latents (n, k) and logits (n, d)."""
        latents = self.encoder(scaled)
        return latents, self.decoder(latents)


def decoder_widths(n_features: int, settings: ModelSettings) -> list[int]:
    """Return the widths of the decoder's layers, latent first."""
    between = (settings.prototypes,) if settings.prototypes else settings.hidden[::-1]
    return [settings.latent, *between, n_features]


def decoder_activation(settings: ModelSettings) -> str:
    """Return the name of the activation between the decoder's layers."""
    return "softmax" if settings.prototypes else settings.activation


@torch.no_grad()
def start_from_rows(
    network: DenseAutoencoder,
    rows: Tensor,
    generator: torch.Generator,
    *,
    outputs: Tensor | None = None,
) -> None:
    """Initialize the prototypes with a random sample of scaled rows (n, d).

    A latent then selects the prototypes whose latents are nearest. outputs: (n, d), what prototypes
    at these rows stand for, if not the rows themselves.
    """
    into, _, out = network.decoder
    assert isinstance(into, nn.Linear)
    assert isinstance(out, nn.Linear)
    places = torch.randperm(len(rows), generator=generator)[: into.out_features]
    chosen = rows[places]
    latents: Tensor = network.encoder(chosen)
    width = _nearest_neighbor_distance(latents)
    count = len(chosen)
    into.weight[:count] = latents / width
    into.bias[:count] = -latents.square().sum(dim=1) / (2 * width)
    into.weight[count:] = 0  # more prototypes than rows: the others stay unused
    into.bias[count:] = UNUSED
    out.weight[:, :count] = (rows if outputs is None else outputs)[places].t()


def _nearest_neighbor_distance(latents: Tensor) -> Tensor:
    """Return the mean squared distance from each of latents (n, k) to the nearest other one."""
    apart = torch.cdist(latents, latents).square().fill_diagonal_(torch.inf).amin(dim=1)
    return apart[apart.isfinite()].mean().nan_to_num(nan=1.0).clamp_min(LEAST_WIDTH)


def build_decoder(widths: Sequence[int], activation: str) -> nn.Sequential:
    """Build a decoder with these widths, latent first, with uninitialized weights."""
    layers = [_empty(into, out) for into, out in pairwise(widths)]
    return _stack(layers, activation, last=False)


@torch.no_grad()
def with_outputs(decoder: nn.Module, outputs: Sequence[int]) -> nn.Sequential:
    """Return a dense decoder that computes some of the outputs; it shares all but the last layer.

    A sum may differ in its last bit from that of the whole decoder.
    """
    *layers, last = decoder.children()
    assert isinstance(last, nn.Linear | Transposed)
    device = last.weight.device
    some = _empty(last.weight.shape[1], len(outputs)).to(device)
    places = torch.tensor(list(outputs), device=device)
    some.weight.copy_(last.weight[places])
    some.bias.copy_(last.bias[places])
    return nn.Sequential(*layers, some)


def finish_output(logits: Tensor, output: str) -> Tensor:
    """Apply the output activation: logits to scaled rows."""
    if output == "sigmoid":
        return torch.sigmoid(logits)
    if output == "relu":
        return torch.relu(logits)
    return logits


def _stack(layers: Sequence[nn.Module], activation: str, *, last: bool) -> nn.Sequential:
    parts: list[nn.Module] = []
    for index, layer in enumerate(layers):
        parts.append(layer)
        if last or index < len(layers) - 1:
            parts.append(ACTIVATIONS[activation]())
    return nn.Sequential(*parts)


def _glorot(into: int, out: int, generator: torch.Generator) -> nn.Linear:
    """Build a linear layer with Glorot uniform weights and zero biases (Glorot & Bengio 2010)."""
    layer = _empty(into, out)
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


def _empty(into: int, out: int) -> nn.Linear:
    """Build a linear layer without initialization, which would advance the global generator."""
    return with_memory(nn.Linear(into, out, device="meta"))


def with_memory(module: M) -> M:
    """Give a module on the meta device memory on the CPU, without values.

    Module.to_empty does the same, but imports a part of torch that takes most of a second.
    """
    for layer in module.modules():
        for name, weight in list(layer.named_parameters(recurse=False)):
            setattr(layer, name, nn.Parameter(torch.empty(weight.shape)))
    return module
