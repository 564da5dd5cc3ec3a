"""The files of a bundle as bytes: arrays as safetensors, facts as JSON with a format_version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypedDict, cast

import numpy as np
import safetensors.numpy
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import nn

from aemodel.errors import BundleError, SettingsError
from aemodel.rows.layout import Layout

FORMAT_VERSIONS = {"model.json": 2, "decoder.json": 1}
Files = Mapping[str, bytes]
Arrays = Mapping[str, NDArray[np.generic]]
Json = Mapping[str, object]
INVALID = (KeyError, TypeError, ValueError, SettingsError)  # raised by files of the wrong content


class _LayoutFacts(TypedDict):
    row_shape: list[int]
    dtype: str
    columns: list[str]
    kinds: list[str]
    max_levels: int


def tensor_bytes(arrays: Arrays) -> bytes:
    """Encode arrays as a safetensors file."""
    contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    return safetensors.numpy.save(contiguous)


def facts_bytes(facts: Json) -> bytes:
    """Encode facts as a JSON file; NaN and infinity are not allowed."""
    return (json.dumps(facts, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode()


def read_facts(files: Files, name: str) -> Json:
    """Decode a JSON file.

    Raises BundleError if it is missing, damaged, or of another format_version.
    """
    try:
        facts: dict[str, object] = json.loads(files[name])
        found = facts["format_version"]
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"{name}: missing or not the JSON of a model ({error}); restore it from a copy"
        ) from error
    _require_version(name, found)
    return facts


def _require_version(name: str, found: object) -> None:
    expected = FORMAT_VERSIONS[name]
    if found == expected:
        return
    if isinstance(found, int) and found > expected:
        raise BundleError(
            f"{name}: format_version {found} is newer than {expected}; upgrade nightglass"
        )
    again = "encode" if name == "decoder.json" else "train"
    raise BundleError(
        f"{name}: format_version must be {expected}. Got {found!r} instead; {again} again"
    )


def read_arrays(files: Files, name: str) -> dict[str, NDArray[np.generic]]:
    """Decode a safetensors file, sorted by name: safetensors returns arrays in varying order.

    Raises BundleError if it is missing or damaged.
    """
    try:
        return dict(sorted(safetensors.numpy.load(files[name]).items()))
    except (KeyError, SafetensorError) as error:
        raise BundleError(
            f"{name}: missing or damaged ({error}); restore it from a copy"
        ) from error


def array_of(tensor: object) -> NDArray[np.generic]:
    """Return a weight as an array of its own."""
    assert isinstance(tensor, torch.Tensor)
    return np.ascontiguousarray(tensor.detach().cpu().numpy())


def layout_of_facts(facts: object) -> Layout:
    """Rebuild a layout from what a JSON file says of it."""
    found = cast("_LayoutFacts", facts)
    return Layout(
        row_shape=tuple(found["row_shape"]),
        dtype=np.dtype(found["dtype"]).name,
        columns=tuple(found["columns"]),
        kinds=tuple(found["kinds"]),
        max_levels=found["max_levels"],
    )


def load_weights(network: nn.Module, arrays: Arrays, prefix: str, name: str) -> None:
    """Load weights into a network; names and shapes must match exactly."""
    state = {
        key.removeprefix(prefix): torch.from_numpy(value.copy()) for key, value in arrays.items()
    }
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise BundleError(
            f"{name}: the weights do not fit the settings ({error}); "
            "restore the bundle or train again"
        ) from error
