"""A model as two files, and back.

Model.safetensors holds every array, model.json every setting and fact. Nothing is pickled.
"""

from __future__ import annotations

import dataclasses
import json
import lzma
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import safetensors.numpy
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import nn

from aemodel.errors import BundleError, SettingsError
from aemodel.model import Autoencoder, Decoder, Measured
from aemodel.network.build import build_network, decoder_facts, decoder_of_facts
from aemodel.network.dense import ACTIVATIONS
from aemodel.rows.layout import Layout
from aemodel.rows.scaling import Scaler
from aemodel.scores.novelty import Reference
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.weight_rounding import pack_xz, restore_weights, round_weights

FORMAT_VERSIONS = {"model.json": 2, "decoder.json": 1}  # the newest that are written and read
MEASURED = (
    "calibration",
    "novelty_calibration",
    "relative_calibration",
    "evidence",
    "residual_scale",
    "feature_mean",
    "feature_deviation",
    "usual",
    "latent_low",
    "latent_high",
)
Files = Mapping[str, bytes]


def to_files(model: Autoencoder) -> dict[str, bytes]:
    """The bundle of a model: {"model.safetensors": …, "model.json": …}."""
    arrays = {
        **{
            name: value
            for index, member in enumerate(model.members)
            for name, value in _weights(member, f"member.{index}.").items()
        },
        **_scaler_arrays(model.scaler),
        **{name: getattr(model.measured, name) for name in MEASURED},
        **{f"reference.{name}": value for name, value in vars(model.measured.reference).items()},
    }
    facts = {
        "format_version": FORMAT_VERSIONS["model.json"],
        "model": dataclasses.asdict(model.settings),
        "train": {
            key: value
            for key, value in dataclasses.asdict(model.train_settings).items()
            if key != "device"
        },
        "layout": dataclasses.asdict(model.layout),
        **model.facts,
    }
    return {"model.safetensors": _tensor_bytes(arrays), "model.json": _json_bytes(facts)}


def from_files(files: Files, *, device: str = "cpu") -> Autoencoder:
    """The model of a bundle.

    Raises BundleError where it is damaged, incomplete, or of a newer format_version.
    """
    facts = _read_facts(files, "model.json")
    arrays = _read_arrays(files, "model.safetensors")
    try:
        if facts["format_version"] == 1:  # knew no relative error
            arrays |= {"usual": np.full(3, np.nan), "relative_calibration": np.empty(0)}
        settings = ModelSettings(**_listed(facts.pop("model")))
        train = TrainSettings(**facts.pop("train"))
        layout = _layout(facts.pop("layout"))
        reference = Reference(
            **{name: arrays.pop(f"reference.{name}") for name in ("rows", "floor", "typical")}
        )
        measured = Measured(**{name: arrays.pop(name) for name in MEASURED}, reference=reference)
        scaler = _scaler(arrays)
        _require_shapes(layout, settings, scaler, measured)
        members = tuple(
            build_network(layout.row_shape, settings, torch.Generator().manual_seed(0))
            for _ in range(settings.members)
        )
        if (
            facts.pop("format_version") == 1
            and settings.network == "dense"
            and settings.hidden
            and not settings.prototypes
        ):
            facts["bent_latents"] = (
                True  # such models have an activation on their latents, as networks without hidden layers still do
            )
        for member in members if facts.get("bent_latents") else ():
            cast("nn.Sequential", member.get_submodule("encoder")).append(
                ACTIVATIONS[settings.activation]()
            )
    except (KeyError, TypeError, ValueError, SettingsError) as error:
        raise BundleError(
            f"model.json or model.safetensors: not a whole model ({error}); restore the bundle or train again"
        ) from error
    _load(nn.ModuleList(members), arrays, "member.", "model.safetensors")
    return Autoencoder(
        tuple(each.to(device).eval() for each in members),
        settings,
        layout,
        scaler,
        measured,
        train,
        facts,
        device,
    )


def decoder_files(model: Autoencoder) -> dict[str, bytes]:
    """What `decode` needs and no more: {"decoder.safetensors": …, "decoder.json": …}."""
    layers = [
        (name, layer)
        for name, layer in model.members[0].get_submodule("decoder").named_modules()
        if hasattr(layer, "bias")
    ]
    weights = {
        f"{name}.{part}": _array(getattr(layer, part))
        for name, layer in layers
        for part in ("weight", "bias")
    }
    scaler = {
        f"scaler.{name}": _shortest(getattr(model.scaler, name)) for name in ("center", "scale")
    }
    facts = {
        "format_version": FORMAT_VERSIONS["decoder.json"],
        **decoder_facts(model.layout.row_shape, model.settings),
        "output": model.settings.output,
        "layout": dataclasses.asdict(model.layout),
    }
    return {
        "decoder.safetensors": _tensor_bytes({**weights, **scaler}),
        "decoder.json": _json_bytes(facts),
    }


def compact_decoder_files(
    files: Files, latents: NDArray[np.float32], roughness: float
) -> dict[str, bytes]:
    """The files of a decoder with its weights rounded (see `aemodel.weight_rounding`) and packed;

    `latents` (n, k) are like those it will decode.
    """
    arrays = _read_arrays(files, "decoder.safetensors")
    weights = {name: values for name, values in arrays.items() if not name.startswith("scaler.")}
    rounded = round_weights(weights, latents, roughness)
    whole = {**arrays, **rounded}
    return {
        "decoder.safetensors.xz": pack_xz(_tensor_bytes(whole)),
        "decoder.json": files["decoder.json"],
    }


def decoder_from_files(files: Files, *, device: str = "cpu") -> Decoder:
    """The decoder of a latent store. Raises BundleError."""
    facts = _read_facts(files, "decoder.json")
    arrays = restore_weights(_read_arrays(_unpacked(files), "decoder.safetensors"))
    try:
        layout = _layout(facts["layout"])
        center, scale = (
            np.broadcast_to(arrays.pop(f"scaler.{name}"), layout.n_features)
            for name in ("center", "scale")
        )
        network = decoder_of_facts(facts, layout.row_shape)
        output = facts["output"]
    except (KeyError, TypeError, ValueError, SettingsError) as error:
        raise BundleError(
            f"decoder.json or decoder.safetensors: not a whole decoder ({error}); restore the store or encode again"
        ) from error
    _load(network, arrays, "", "decoder.safetensors")
    return Decoder(
        network.to(device).eval(),
        output,
        Scaler(center, scale, np.zeros(1, np.float32)),
        layout,
        device,
    )


def _unpacked(files: Files) -> Files:
    """The files, with those that are packed by xz unpacked."""
    try:
        return {
            name.removesuffix(".xz"): lzma.decompress(content) if name.endswith(".xz") else content
            for name, content in files.items()
        }
    except (lzma.LZMAError, EOFError) as error:
        raise BundleError(
            f"decoder.safetensors.xz: damaged ({error}); restore the store from a copy or encode again"
        ) from error


def _weights(network: nn.Module, prefix: str) -> dict[str, NDArray[Any]]:
    return {prefix + name: _array(value) for name, value in network.state_dict().items()}


def _array(tensor: torch.Tensor) -> NDArray[Any]:
    return np.ascontiguousarray(tensor.detach().cpu().numpy())


def _shortest(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """One value where all are the same."""
    return values[:1] if (values == values[:1]).all() else values


def _scaler_arrays(scaler: Scaler) -> dict[str, NDArray[Any]]:
    return {f"scaler.{name}": getattr(scaler, name) for name in ("center", "scale", "fill")}


def _scaler(arrays: dict[str, NDArray[Any]]) -> Scaler:
    return Scaler(*(arrays.pop(f"scaler.{name}") for name in ("center", "scale", "fill")))


def _layout(facts: Mapping[str, Any]) -> Layout:
    return Layout(
        row_shape=tuple(facts["row_shape"]),
        dtype=np.dtype(facts["dtype"]).name,
        columns=tuple(facts["columns"]),
    )


def _require_shapes(
    layout: Layout, settings: ModelSettings, scaler: Scaler, measured: Measured
) -> None:
    """Raises ValueError where an array is not what the model's layout and settings ask for, or calibration scores are out of order."""
    d, k = (layout.n_features,), (settings.latent,)
    n, reference = measured.calibration.shape[:1], measured.reference
    relative = n if np.isfinite(measured.usual).all() else (0,)
    expected = {
        **{f"scaler.{name}": (value, d) for name, value in vars(scaler).items()},
        **{
            name: (getattr(measured, name), shape)
            for name, shape in zip(
                MEASURED, (n, n, relative, (3, *n), d, d, d, (3,), k, k), strict=True
            )
        },
        "reference.rows": (reference.rows, (len(reference.rows), *layout.row_shape)),
        "reference.floor": (reference.floor, (2,)),
        "reference.typical": (reference.typical, (2,)),
    }
    for name, (found, shape) in expected.items():
        if found.shape != shape:
            raise ValueError(f"{name} has the shape {found.shape}, {shape} is expected")
    if len(reference.rows) < 2 or reference.rows.dtype != layout.dtype:
        raise ValueError(
            f"reference.rows holds {len(reference.rows)} rows of {reference.rows.dtype}, at least 2 of {layout.dtype} are expected"
        )
    in_order = measured.calibration, measured.novelty_calibration, measured.relative_calibration
    if not all((scores[1:] >= scores[:-1]).all() for scores in in_order):
        raise ValueError("the calibration scores are not in order")


def _listed(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as JSON has them, with lists as tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in facts.items()}


def _tensor_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    return safetensors.numpy.save(
        {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    )


def _json_bytes(facts: Mapping[str, Any]) -> bytes:
    return (json.dumps(facts, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode()


def _read_facts(files: Files, name: str) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads(files[name])
        found = int(facts["format_version"])
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"{name}: missing or not the JSON of a model ({error}); restore it from a copy"
        ) from error
    if found > FORMAT_VERSIONS[name]:
        raise BundleError(
            f"{name}: format_version {found} is newer than {FORMAT_VERSIONS[name]}, the newest that this nightglass reads; upgrade nightglass"
        )
    return facts


def _read_arrays(files: Files, name: str) -> dict[str, NDArray[Any]]:
    """The arrays of a file by name, in the order of the names.

    Safetensors gives them in another one each time.
    """
    try:
        return dict(sorted(safetensors.numpy.load(files[name]).items()))
    except (KeyError, SafetensorError) as error:
        raise BundleError(
            f"{name}: missing or damaged ({error}); restore it from a copy"
        ) from error


def _load(network: nn.Module, arrays: Mapping[str, NDArray[Any]], prefix: str, name: str) -> None:
    """Put weights into a network; every one must be there, with its shape, and no other."""
    state = {
        key.removeprefix(prefix): torch.from_numpy(value.copy()) for key, value in arrays.items()
    }
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise BundleError(
            f"{name}: the weights do not fit the settings ({error}); restore the bundle or train again"
        ) from error
