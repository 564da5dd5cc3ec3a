"""The network that the settings and the shape of a row ask for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

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


def build_network(
    row_shape: tuple[int, ...], settings: ModelSettings, generator: torch.Generator
) -> nn.Module:
    """An autoencoder with its first weights: `encoder`, `decoder`, and a call that gives latents and logits.

    Raises SettingsError where rows of this shape do not suit `model.network`.
    """
    if settings.network == "conv":
        return ConvAutoencoder(row_shape, settings, generator)
    return DenseAutoencoder(math.prod(row_shape), settings, generator)


def decoder_facts(row_shape: tuple[int, ...], settings: ModelSettings) -> dict[str, Any]:
    """What a latent store has to know to build its decoder, for JSON."""
    if settings.network == "conv":
        return {
            "network": "conv",
            "channels": settings.hidden,
            "latent": settings.latent,
            "activation": settings.activation,
        }
    return {
        "widths": decoder_widths(math.prod(row_shape), settings),
        "activation": decoder_activation(settings),
    }


def decoder_of_facts(facts: Mapping[str, Any], row_shape: tuple[int, ...]) -> nn.Module:
    """A decoder with no values yet, to load weights into.

    Raises KeyError, TypeError or ValueError where the facts make none.
    """
    if facts.get("network", "dense") == "conv":
        return build_conv_decoder(
            row_shape, facts["channels"], facts["latent"], facts["activation"]
        )
    return build_decoder(facts["widths"], facts["activation"])
