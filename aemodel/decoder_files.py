"""Save the decoder of a model as the files of a latent store, and load it."""

from __future__ import annotations

import dataclasses
import lzma
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from aemodel.bundle_files import (
    FORMAT_VERSIONS,
    INVALID,
    Files,
    Json,
    array_of,
    facts_bytes,
    layout_of_facts,
    load_weights,
    read_arrays,
    read_facts,
    tensor_bytes,
)
from aemodel.decoder import Decoder
from aemodel.errors import BundleError
from aemodel.model import Autoencoder
from aemodel.network.build import decoder_facts, decoder_of_facts
from aemodel.rows.entities.scales import ARRAYS as ENTITY_ARRAYS
from aemodel.rows.entities.scales import Entities
from aemodel.rows.scaling import Scaler
from aemodel.weight_rounding import pack_xz, restore_weights, round_weights

PREFIX = "entities."


def decoder_files(model: Autoencoder) -> dict[str, bytes]:
    """Return all that `decode` needs: {"decoder.safetensors": ..., "decoder.json": ...}."""
    decoder = model.decoder
    scaler = {
        f"scaler.{name}": _without_repeats(getattr(decoder.scaler, name))
        for name in ("center", "scale")
    }
    if decoder.entities is not None:
        scaler |= {f"{PREFIX}{name}": getattr(decoder.entities, name) for name in ENTITY_ARRAYS}
    facts = {
        "format_version": FORMAT_VERSIONS["decoder.json"],
        **decoder_facts(decoder.layout.row_shape, model.settings),
        "output": decoder.output,
        "layout": dataclasses.asdict(decoder.layout),
    }
    return {
        "decoder.safetensors": tensor_bytes({**_decoder_weights(decoder.network), **scaler}),
        "decoder.json": facts_bytes(facts),
    }


def rounded_decoder_files(
    files: Files, latents: NDArray[np.float32], roughness: float
) -> dict[str, bytes]:
    """Return a decoder's files with rounded weights.

    See `aemodel.weight_rounding`. `latents` (n, k) are a sample of those it will decode.
    """
    arrays = read_arrays(files, "decoder.safetensors")
    others = ("scaler.", PREFIX)
    weights = {name: values for name, values in arrays.items() if not name.startswith(others)}
    rounded = {**arrays, **round_weights(weights, latents, roughness)}
    return {**files, "decoder.safetensors": tensor_bytes(rounded)}


def packed_decoder_files(files: Files) -> dict[str, bytes]:
    """Return a decoder's files with compressed weights, which takes a second for a few million."""
    return {
        "decoder.safetensors.xz": pack_xz(files["decoder.safetensors"]),
        "decoder.json": files["decoder.json"],
    }


def decoder_from_files(files: Files, *, device: str = "cpu") -> Decoder:
    """Load the decoder of a latent store. Raises BundleError."""
    facts = read_facts(files, "decoder.json")
    arrays = restore_weights(read_arrays(_decompressed(files), "decoder.safetensors"))
    try:
        decoder = _unfitted_decoder(facts, arrays, device)
    except INVALID as error:
        raise BundleError(
            f"decoder.json or decoder.safetensors: not a complete decoder ({error}); "
            "restore the store or encode again"
        ) from error
    load_weights(decoder.network, arrays, "", "decoder.safetensors")
    return dataclasses.replace(decoder, network=decoder.network.to(device).eval())


def _unfitted_decoder(facts: Json, arrays: dict[str, NDArray[np.generic]], device: str) -> Decoder:
    """Build a decoder with uninitialized weights; removes the scaler from `arrays`."""
    layout = layout_of_facts(facts["layout"])
    center, scale = (
        np.broadcast_to(arrays.pop(f"scaler.{name}"), layout.n_features)
        for name in ("center", "scale")
    )
    scaler = Scaler.inverse_only(center, scale)
    known = [name for name in ENTITY_ARRAYS if PREFIX + name in arrays]
    scales: dict[str, Any] = {name: arrays.pop(PREFIX + name) for name in known}
    entities = Entities(column=0, **scales) if scales else None
    network = decoder_of_facts(facts, layout.row_shape)
    return Decoder(network, str(facts["output"]), scaler, layout, device, entities)


def _decompressed(files: Files) -> Files:
    try:
        return dict(_decompress(name, content) for name, content in files.items())
    except (lzma.LZMAError, EOFError) as error:
        raise BundleError(
            f"decoder.safetensors.xz: damaged ({error}); "
            "restore the store from a copy or encode again"
        ) from error


def _decompress(name: str, content: bytes) -> tuple[str, bytes]:
    if not name.endswith(".xz"):
        return name, content
    return name.removesuffix(".xz"), lzma.decompress(content)


def _decoder_weights(network: nn.Module) -> dict[str, NDArray[np.generic]]:
    """Return weight and bias of every layer; `Transposed` has no weight in its state_dict."""
    weights = {}
    for name, layer in network.named_modules():
        if hasattr(layer, "bias"):
            weights[f"{name}.weight"] = array_of(layer.weight)
            weights[f"{name}.bias"] = array_of(layer.bias)
    return weights


def _without_repeats(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a single value if all are equal."""
    return values[:1] if (values == values[:1]).all() else values
