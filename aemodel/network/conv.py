"""The convolutional autoencoder as plain modules: images and signals to a latent vector through a dense layer, and back.

A signal is a picture one value wide, so that one kind of convolution serves both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from aemodel.errors import SettingsError
from aemodel.network.dense import ACTIVATIONS
from aemodel.settings import ModelSettings

FEWEST = 4  # values along an axis
SMALL = 7  # an axis this short is not shortened any further
# rows (length, channels) are a signal, no picture, where they are this many times longer than wide
SLIM = 8
CHANNELS = (16, 32, 64)  # of the first levels; further ones have as many as the last
IMAGE_STEP, SIGNAL_STEP = 2, 4  # how many times one level shortens an axis
Shape = tuple[int, int, int]  # height, width, channels


@dataclass(frozen=True)
class Level:
    """One convolution on the way to the latents, and its mirror image on the way back."""

    before: Shape
    after: Shape
    kernel: tuple[int, int]
    stride: tuple[int, int]

    def down(self) -> nn.Module:
        """The convolution, with no values yet."""
        padding = (self.kernel[0] // 2, self.kernel[1] // 2)
        return nn.Conv2d(
            self.before[2], self.after[2], self.kernel, self.stride, padding, device="meta"
        )

    def up(self) -> nn.Module:
        """Its transpose, with no values yet."""
        padding = (self.kernel[0] // 2, self.kernel[1] // 2)
        rest = [
            (before - 1) % stride for before, stride in zip(self.before, self.stride, strict=False)
        ]
        return nn.ConvTranspose2d(
            self.after[2],
            self.before[2],
            self.kernel,
            self.stride,
            padding,
            output_padding=(rest[0], rest[1]),
            device="meta",
        )


class Convolutions(nn.Sequential):
    """A stack of convolutions from flat rows (n, height x width x channels) to flat rows; channels stand last at both ends.

    widths: values a row before, between and after the convolutions.
    """

    def __init__(self, layers: Sequence[nn.Module], shapes: Sequence[Shape]) -> None:
        super().__init__(*layers)
        self.shape = shapes[0]
        self.widths = [height * width * channels for height, width, channels in shapes]

    def forward(self, rows: Tensor) -> Tensor:
        """Flat rows to flat rows."""
        maps = rows.reshape(len(rows), *self.shape).movedim(3, 1)
        for layer in self:
            maps = layer(maps)
        return maps.movedim(1, 3).flatten(1)


class ConvAutoencoder(nn.Module):
    """Convolutions - latent - the same mirrored.

    The latents have no activation, nor has the last layer (its output are logits).
    """

    def __init__(
        self, row_shape: tuple[int, ...], settings: ModelSettings, generator: torch.Generator
    ) -> None:
        """Raises SettingsError where rows of this shape (without the rows' own axis) cannot be convolved."""
        super().__init__()
        levels = plan_levels(row_shape, settings.hidden)
        self.encoder = _encoder(levels, settings.latent, settings.activation)
        self.decoder = build_conv_decoder(
            row_shape, settings.hidden, settings.latent, settings.activation
        )
        for layer in self.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                nn.init.xavier_uniform_(layer.weight, generator=generator)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type] # every layer here has one

    def forward(self, scaled: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled rows (n, d) to latents (n, k) and logits (n, d)."""
        latents = self.encoder(scaled)
        return latents, self.decoder(latents)


def build_conv_decoder(
    row_shape: tuple[int, ...], hidden: Sequence[int], latent: int, activation: str
) -> nn.Sequential:
    """A decoder for rows of this shape, with no values yet."""
    levels = plan_levels(row_shape, hidden)[::-1]
    shapes = [levels[0].after, *(level.before for level in levels)]
    layers = _with_activations([level.up() for level in levels], activation)
    middle = Convolutions(layers[:-1], shapes)
    return _empty(
        nn.Linear(latent, middle.widths[0], device="meta"), ACTIVATIONS[activation](), middle
    )


def plan_levels(row_shape: tuple[int, ...], hidden: Sequence[int]) -> list[Level]:
    """The convolutions for rows of this shape: `hidden` channels, or by default as many levels as it takes to make every axis short.

    Raises SettingsError where the rows are too small, or neither images nor signals.
    """
    shapes = [picture_shape(row_shape)]
    step = SIGNAL_STEP if shapes[0][1] == 1 else IMAGE_STEP
    for channels in hidden or _default_channels(shapes[0], step):
        height, width, _ = shapes[-1]
        shapes.append((_shortened(height, step), _shortened(width, step), channels))
    return [_level(before, after, step) for before, after in pairwise(shapes)]


def picture_shape(row_shape: tuple[int, ...]) -> Shape:
    """Height, width and channels of rows (height, width), (height, width, channels), (length,) or (length, channels).

    Two axes are a signal with channels where the second is shorter than FEWEST, or SLIM times shorter than the first.
    Raises SettingsError for rows that are none of these, or too small.
    """
    if len(row_shape) == 3:
        height, width, channels = row_shape
    elif len(row_shape) == 2 and row_shape[1] >= FEWEST and row_shape[0] < SLIM * row_shape[1]:
        height, width, channels = *row_shape, 1
    elif len(row_shape) in (1, 2):
        height, width, channels = row_shape[0], 1, (*row_shape, 1)[1]
    else:
        height = width = channels = 0
    if height < FEWEST or 1 < width < FEWEST:
        raise SettingsError(
            f"model.network = 'conv' needs rows (height, width), (height, width, channels), (length,) or (length, channels), "
            f"at least {FEWEST} long on each axis but the channels. Got rows of the shape {row_shape} instead; "
            "move the channels to the last axis, or set model.network to 'dense'."
        )
    return height, width, channels


def _default_channels(shape: Shape, step: int) -> Iterator[int]:
    longest, level = max(shape[:2]), 0
    while longest > SMALL or level == 0:
        yield CHANNELS[min(level, len(CHANNELS) - 1)]
        longest, level = _shortened(longest, step), level + 1


def _shortened(length: int, step: int) -> int:
    return -(-length // step) if length > SMALL else length


def _level(before: Shape, after: Shape, step: int) -> Level:
    kernel = [1 if length == 1 else 2 * step - 1 for length in before[:2]]
    stride = [step if length > SMALL else 1 for length in before[:2]]
    return Level(before, after, (kernel[0], kernel[1]), (stride[0], stride[1]))


def _encoder(levels: Sequence[Level], latent: int, activation: str) -> nn.Sequential:
    shapes = [levels[0].before, *(level.after for level in levels)]
    first = Convolutions(_with_activations([level.down() for level in levels], activation), shapes)
    return _empty(first, nn.Linear(first.widths[-1], latent, device="meta"))


def _with_activations(layers: Sequence[nn.Module], activation: str) -> list[nn.Module]:
    return [part for layer in layers for part in (layer, ACTIVATIONS[activation]())]


def _empty(*layers: nn.Module) -> nn.Sequential:
    """The layers with memory but no values.

    Their own initialisation would move the global generator.
    """
    stack = nn.Sequential(*layers).to_empty(device="cpu")
    stack.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch does not declare it
    return stack
