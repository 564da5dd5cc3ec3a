"""Build the network that the settings and the shape of a row ask for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypedDict, cast

import torch
from torch import nn

from aemodel.network.conv import ConvAutoencoder, build_conv_decoder
from aemodel.network.dense import (
    DenseAutoencoder,
    build_decoder,
    decoder_activation,
    decoder_widths,
)
from aemodel.settings import ModelSettings


class DenseDecoderFacts(TypedDict):
    """What rebuilds a dense decoder: the widths of its layers, latent first."""

    widths: Sequence[int]
    activation: str


class ConvDecoderFacts(TypedDict):
    """What rebuilds a convolutional decoder, together with the shape of a row."""

    network: str
    channels: Sequence[int]
    latent: int
    activation: str


def build_network(
    row_shape: tuple[int, ...], settings: ModelSettings, generator: torch.Generator
) -> nn.Module:
    """Build an autoencoder with initialized weights.

    It has the submodules `encoder` and `decoder`, and maps scaled rows to latents and logits.

    Raises SettingsError if rows of this shape do not suit `model.network`.
    """
    if settings.network == "conv":
        return ConvAutoencoder(row_shape, settings, generator)
    return DenseAutoencoder(math.prod(row_shape), settings, generator)


def decoder_facts(
    row_shape: tuple[int, ...], settings: ModelSettings
) -> DenseDecoderFacts | ConvDecoderFacts:
    """Return what a latent store needs to rebuild its decoder, for JSON."""
    if settings.network == "conv":
        return ConvDecoderFacts(
            network="conv",
            channels=settings.hidden,
            latent=settings.latent,
            activation=settings.activation,
        )
    return DenseDecoderFacts(
        widths=decoder_widths(math.prod(row_shape), settings),
        activation=decoder_activation(settings),
    )


def decoder_of_facts(facts: Mapping[str, object], row_shape: tuple[int, ...]) -> nn.Module:
    """Build a decoder with uninitialized weights from `decoder_facts`.

    Raises KeyError, TypeError or ValueError if the facts describe no decoder.
    """
    if facts.get("network") == "conv":
        conv = cast("ConvDecoderFacts", facts)
        return build_conv_decoder(row_shape, conv["channels"], conv["latent"], conv["activation"])
    dense = cast("DenseDecoderFacts", facts)
    return build_decoder(dense["widths"], dense["activation"])
