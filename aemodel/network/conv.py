"""The convolutional autoencoder for images and signals.

Convolutions and a dense layer map a row to its latents; the decoder mirrors them. A signal is an
image of width 1, so that one kind of convolution serves both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, pairwise

import torch
from torch import Tensor, nn

from aemodel.errors import SettingsError
from aemodel.network.dense import ACTIVATIONS, with_memory
from aemodel.rows.layout import is_signal
from aemodel.settings import ModelSettings

FEWEST = 4  # values along an axis
SMALL = 7  # an axis this short is not downsampled further
CHANNELS = (16, 32, 64)  # of the first levels; later levels repeat the last value
IMAGE_STEP, SIGNAL_STEP = 2, 4  # stride of one level
Shape = tuple[int, int, int]  # height, width, channels


@dataclass(frozen=True)
class Level:
    """One convolution of the encoder and its mirror image in the decoder."""

    before: Shape
    after: Shape
    kernel: tuple[int, int]
    stride: tuple[int, int]

    @property
    def padding(self) -> tuple[int, int]:
        """Half the kernel along each axis."""
        return self.kernel[0] // 2, self.kernel[1] // 2

    def down(self) -> nn.Module:
        """Build the convolution, without values (on the meta device)."""
        into, out = self.before[2], self.after[2]
        return nn.Conv2d(into, out, self.kernel, self.stride, self.padding, device="meta")

    def up(self) -> nn.Module:
        """Build its transpose, without values (on the meta device)."""
        return nn.ConvTranspose2d(
            self.after[2],
            self.before[2],
            self.kernel,
            self.stride,
            self.padding,
            output_padding=(self._lost(0), self._lost(1)),
            device="meta",
        )

    def _lost(self, axis: int) -> int:
        """Return how many values at the end of an axis the stride leaves out."""
        return (self.before[axis] - 1) % self.stride[axis]


class Convolutions(nn.Sequential):
    """A stack of convolutions on flat rows (n, height * width * channels), channels last.

    widths: values per row before, between and after the convolutions.
    """

    def __init__(self, layers: Sequence[nn.Module], shapes: Sequence[Shape]) -> None:
        """Stack `layers`; `shapes` are those of a row before, between and after them."""
        super().__init__(*layers)
        self.shape = shapes[0]
        self.widths = [height * width * channels for height, width, channels in shapes]

    def forward(self, rows: Tensor) -> Tensor:
        """Map flat rows (n, in) to flat rows (n, out)."""
        maps = rows.reshape(len(rows), *self.shape).movedim(3, 1)
        for layer in self:
            maps = layer(maps)
        return maps.movedim(1, 3).flatten(1)


class ConvAutoencoder(nn.Module):
    """Convolutions - latent - mirrored convolutions.

    Neither the latents nor the last layer have an activation; the last layer outputs logits.
    """

    def __init__(
        self, row_shape: tuple[int, ...], settings: ModelSettings, generator: torch.Generator
    ) -> None:
        """Initialize the weights. Raises SettingsError if such rows cannot be convolved."""
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
        """Map scaled rows (n, d) to latents (n, k) and logits (n, d)."""
        latents = self.encoder(scaled)
        return latents, self.decoder(latents)


def build_conv_decoder(
    row_shape: tuple[int, ...], hidden: Sequence[int], latent: int, activation: str
) -> nn.Sequential:
    """Build a decoder for rows of this shape, with uninitialized weights."""
    levels = plan_levels(row_shape, hidden)[::-1]
    shapes = [levels[0].after, *(level.before for level in levels)]
    layers = _with_activations([level.up() for level in levels], activation)
    middle = Convolutions(layers[:-1], shapes)
    first = nn.Linear(latent, middle.widths[0], device="meta")
    return _empty(first, ACTIVATIONS[activation](), middle)


def plan_levels(row_shape: tuple[int, ...], hidden: Sequence[int]) -> list[Level]:
    """Plan the convolutions for rows of this shape, one level for each of `hidden` channels.

    Without `hidden`, levels are added until every axis is short.

    Raises SettingsError if the rows are too small, or neither images nor signals.
    """
    shapes = [image_shape(row_shape)]
    step = SIGNAL_STEP if shapes[0][1] == 1 else IMAGE_STEP
    for channels in hidden or _default_channels(shapes[0], step):
        height, width, _ = shapes[-1]
        shapes.append((_shortened(height, step), _shortened(width, step), channels))
    return [_level(before, after, step) for before, after in pairwise(shapes)]


def image_shape(row_shape: tuple[int, ...]) -> Shape:
    """Return height, width and channels of a row; a signal has the width 1.

    A row is (height, width), (height, width, channels), (length,) or (length, channels). Two axes
    are a signal with channels if the second is shorter than FEWEST, or SLIM times shorter than the
    first.

    Raises SettingsError for other shapes, and for rows that are too small.
    """
    height, width, channels = _height_width_channels(row_shape)
    if height < FEWEST or 1 < width < FEWEST:
        raise SettingsError(
            "model.network = 'conv' needs rows (height, width), (height, width, channels), "
            f"(length,) or (length, channels), at least {FEWEST} long on each axis except "
            f"channels. Got rows of the shape {row_shape} instead; move the channels to the last "
            "axis, or set model.network to 'dense'."
        )
    return height, width, channels


def _height_width_channels(row_shape: tuple[int, ...]) -> Shape:
    if len(row_shape) == 3:
        height, width, channels = row_shape
        return height, width, channels
    if len(row_shape) == 2 and not is_signal(row_shape):
        return row_shape[0], row_shape[1], 1
    if len(row_shape) in (1, 2):
        return row_shape[0], 1, (*row_shape, 1)[1]
    return 0, 0, 0


def _default_channels(shape: Shape, step: int) -> Iterator[int]:
    longest = max(shape[:2])
    for level in count():
        if level > 0 and longest <= SMALL:
            return
        yield CHANNELS[min(level, len(CHANNELS) - 1)]
        longest = _shortened(longest, step)


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
    """Stack layers and allocate their memory, without initialization.

    PyTorch's own initialization would advance the global random generator.
    """
    stack = with_memory(nn.Sequential(*layers))
    stack.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not declared
    return stack
