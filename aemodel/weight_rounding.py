"""The decoder of a latent store in few bits: weights as whole numbers on as coarse a grid as the reconstruction bears.

    weight[o, i] = code[i, o] * step[i]            step[i] = roughness * spread / (root mean square of input i)

so that every input's rounding weighs the same. An entropy coder then makes small codes cheap, whatever their number of bits.
"""

from __future__ import annotations

import lzma
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROUGHNESS = tuple(
    2.0 ** (-power / 2) for power in range(-1, 16)
)  # from coarse to fine, as shares of the weights' own spread
FEWEST_WEIGHTS = 256  # arrays smaller than this are kept as they are
XZ = ({"id": lzma.FILTER_LZMA2, "preset": 9, "lc": 0, "lp": 0, "pb": 0},)


def round_weights(
    arrays: Mapping[str, NDArray[Any]], latents: NDArray[np.float32], roughness: float
) -> dict[str, NDArray[Any]]:
    """The arrays of a decoder with every large weight, and the bias beside it, as codes and steps;

    `latents` (n, k) are its inputs.
    """
    rounded = dict(arrays)
    first = True
    for name, weight in arrays.items():
        if not name.endswith(".weight") or weight.ndim < 2 or weight.size < FEWEST_WEIGHTS:
            continue
        inputs = (
            _root_mean_square(latents)
            if first and weight.shape[1] == latents.shape[1]
            else np.ones(weight.shape[1])
        )
        first = False
        turned = np.moveaxis(weight.astype(np.float64), 1, 0).reshape(len(inputs), -1)
        spread = float((turned * inputs[:, None]).std()) or 1.0
        step = (roughness * spread / inputs).astype(np.float32)
        rounded[name] = _codes(turned / step[:, None].astype(np.float64)).reshape(
            np.moveaxis(weight, 1, 0).shape
        )
        rounded[name + ".step"] = step
        bias = name.removesuffix("weight") + "bias"
        if bias in arrays:
            rounded[bias + ".step"] = np.array([roughness * spread], np.float32)
            rounded[bias] = _codes(arrays[bias] / float(rounded[bias + ".step"][0]))
    return rounded


def restore_weights(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The arrays of a decoder as float32 again, from those of `round_weights` or from any others."""
    restored = {}
    for name, values in arrays.items():
        step = arrays.get(name + ".step")
        if step is not None:
            scaled = values.astype(np.float64) * step.astype(np.float64).reshape(
                -1, *[1] * (values.ndim - 1)
            )
            restored[name] = np.ascontiguousarray(
                np.moveaxis(scaled, 0, 1) if values.ndim > 1 else scaled
            ).astype(np.float32)
        elif not name.endswith(".step"):
            restored[name] = values
    return restored


def pack_xz(content: bytes) -> bytes:
    """Bytes as an .xz file that any tool unpacks."""
    return lzma.compress(content, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=list(XZ))


def sensitivity(decode: Any, latents: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean squared change (k,) of a decoded value for a change of 1 in each latent, measured by small moves around latents (n, k)."""
    start = decode(latents)
    spread = latents.std(axis=0).astype(np.float64)
    found = np.zeros(latents.shape[1])
    for index in np.flatnonzero(spread > 0):
        moved = latents.copy()
        moved[:, index] += np.float32(spread[index] / 16)
        found[index] = np.square(decode(moved) - start).mean() / (spread[index] / 16) ** 2
    return found


def _root_mean_square(latents: NDArray[np.float32]) -> NDArray[np.float64]:
    found = np.sqrt(np.square(latents.astype(np.float64)).mean(axis=0))
    return np.where(found > 0, found, 1.0)


def _codes(places: NDArray[np.float64]) -> NDArray[np.signedinteger[Any]]:
    """Whole numbers in the narrowest signed dtype."""
    codes = np.rint(places)
    most = np.abs(codes).max(initial=0)
    return codes.astype(np.int8 if most < 128 else np.int16 if most < 32_768 else np.int32)
