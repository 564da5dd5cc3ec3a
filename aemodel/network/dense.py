"""The dense autoencoder as plain modules: no trainer, no data, no scaling in sight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from aemodel.settings import ModelSettings

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "softmax": partial(nn.Softmax, dim=-1),  # of a decoder with prototypes
}
LEAST_WIDTH = 1e-3  # of the softmax around a prototype's latent
UNUSED = -1e4  # logit of a prototype without a row


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
    """d - hidden - latent - hidden reversed - d.

    The latents have no activation, nor has the last layer (its output are logits).
    Without hidden layers the latents have the activation: nothing else would bend. With prototypes,
    the decoder is latent - softmax over prototypes - d: a reconstruction is a weighted mean of
    learned rows, so that what lies far from all clean rows cannot be rebuilt.
    """

    def __init__(
        self, n_features: int, settings: ModelSettings, generator: torch.Generator
    ) -> None:
        super().__init__()
        widths = [n_features, *settings.hidden, settings.latent]
        linear = [_glorot(into, out, generator) for into, out in pairwise(widths)]
        self.encoder = _stack(
            linear, settings.activation, last=not (settings.hidden or settings.prototypes)
        )
        back: list[nn.Module] = (
            [Transposed(layer) for layer in reversed(linear)]
            if settings.tied
            else [
                _glorot(into, out, generator)
                for into, out in pairwise(decoder_widths(n_features, settings))
            ]
        )
        self.decoder = _stack(back, decoder_activation(settings), last=False)

    def forward(self, scaled: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled rows (n, d) to latents (n, k) and logits (n, d)."""
        latents = self.encoder(scaled)
        return latents, self.decoder(latents)


def decoder_widths(n_features: int, settings: ModelSettings) -> list[int]:
    """Widths of the decoder's layers, latent first."""
    between = (settings.prototypes,) if settings.prototypes else settings.hidden[::-1]
    return [settings.latent, *between, n_features]


def decoder_activation(settings: ModelSettings) -> str:
    """Activation between the decoder's layers."""
    return "softmax" if settings.prototypes else settings.activation


@torch.no_grad()
def start_from_rows(network: DenseAutoencoder, rows: Tensor, generator: torch.Generator) -> None:
    """Let the prototypes start as some of the scaled rows (n, d).

    A latent then answers with the prototypes whose latents are nearest.
    """
    into, _, out = network.decoder
    assert isinstance(into, nn.Linear)
    assert isinstance(out, nn.Linear)
    places = torch.randperm(len(rows), generator=generator)[: into.out_features]
    count = len(places)
    latents: Tensor = network.encoder(rows[places])
    apart = torch.cdist(latents, latents).square().fill_diagonal_(torch.inf).amin(dim=1)
    width = apart[apart.isfinite()].mean().nan_to_num(nan=1.0).clamp_min(LEAST_WIDTH)
    into.weight[:count] = latents / width
    into.bias[:count] = -latents.square().sum(dim=1) / (2 * width)
    into.weight[count:], into.bias[count:] = (
        0,
        UNUSED,
    )  # more prototypes than rows: the rest has no say
    out.weight[:, :count] = rows[places].t()


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
