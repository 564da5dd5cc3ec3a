"""EfficientNet-Lite0 without its classifier, from its published weights.

Tan & Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks"; the Lite
variant has ReLU6 activations and no squeeze-and-excitation.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils.fusion import fuse_conv_bn_weights

from aemodel.errors import SettingsError

STEM = 32  # channels
NORM_EPSILON = 1e-3
NORM_ENTRIES = 5  # scale, shift, mean, variance, and a counter, after each convolution
UNREADABLE = (  # what torch.load and the loop over the weights raise
    AttributeError,
    EOFError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)


class Stage(NamedTuple):
    """A run of blocks: the first has the stride, and each widens its input `expand` times."""

    blocks: int
    kernel: int
    stride: int
    expand: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow pads: more after than before where the sum is odd."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (n, c, h, w) to (n, channels, ceil(h / stride), ceil(w / stride))."""
        return super().forward(self._padded(images))

    def _padded(self, images: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        sides = [max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in images.shape[2:]]
        height, width = [(total // 2, total - total // 2) for total in sides]
        return pad(images, (*width, *height))


class Block(nn.Module):
    """An inverted residual block: widen, filter each channel, narrow."""

    def __init__(self, inputs: int, stage: Stage, stride: int) -> None:
        super().__init__()
        wide = inputs * stage.expand
        layers: list[nn.Module] = []
        if stage.expand > 1:
            layers += [SameConv(inputs, wide, 1, 1, 1), nn.ReLU6()]
        layers += [SameConv(wide, wide, stage.kernel, stride, wide), nn.ReLU6()]
        layers += [SameConv(wide, stage.channels, 1, 1, 1)]
        self.layers = nn.Sequential(*layers)
        self.is_residual = stride == 1 and inputs == stage.channels

    def forward(self, images: Tensor) -> Tensor:
        """Map images (n, inputs, h, w) to (n, channels, h, w), or half as high and wide."""
        found: Tensor = self.layers(images)
        return images + found if self.is_residual else found


class Backbone(nn.Module):
    """The convolutions of EfficientNet-Lite0."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(SameConv(3, STEM, 3, 2, 1), nn.ReLU6())
        widths = [STEM, *(stage.channels for stage in STAGES)]
        stages = zip(widths, STAGES, strict=False)
        self.stages = nn.ModuleList(nn.Sequential(*_blocks(each, stage)) for each, stage in stages)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the output (n, channels, h, w) of each stage for images (n, 3, h, w), -1 to 1."""
        found = [self.stem(images)]
        for stage in self.stages:
            found.append(stage(found[-1]))
        return found[1:]


def _blocks(inputs: int, stage: Stage) -> Iterator[Block]:
    yield Block(inputs, stage, stage.stride)
    for _ in range(stage.blocks - 1):
        yield Block(stage.channels, stage, 1)


def load_backbone(weights: bytes) -> Backbone:
    """Build the network from the file of its published weights, normalization folded in.

    Raises SettingsError if the file does not hold these weights.
    """
    network = Backbone()
    convolutions = [each for each in network.modules() if isinstance(each, SameConv)]
    try:
        published = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
        entries = list(published.values())
        for index, convolution in enumerate(convolutions):
            kernel, scale, shift, mean, variance, _ = entries[(1 + NORM_ENTRIES) * index :][:6]
            weight, bias = fuse_conv_bn_weights(
                kernel, None, mean, variance, NORM_EPSILON, scale, shift
            )
            convolution.load_state_dict({"weight": weight, "bias": bias})
    except UNREADABLE as error:
        raise SettingsError(
            f"the weights of EfficientNet-Lite0 cannot be read ({error}); install them again"
        ) from error
    return network.requires_grad_(False).eval()
