"""Compact decoder weights: integer codes on the coarsest grid that the reconstruction tolerates.

    weight[o, i] = code[i, o] * step[i]
    step[i] = roughness * spread / (root mean square of input i)

Every input then contributes the same rounding error. An entropy coder stores small codes in few
bits, whatever their dtype.
"""

from __future__ import annotations

import lzma
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[np.generic]]
Values = NDArray[np.float64]

# from coarse to fine, as shares of the weights' own spread
ROUGHNESS = tuple(2.0 ** (-power / 2) for power in range(-1, 16))
FEWEST_WEIGHTS = 256  # smaller arrays are stored unchanged
PROBE = 1 / 16  # step of `sensitivity`, in standard deviations of a latent
XZ = ({"id": lzma.FILTER_LZMA2, "preset": 9, "lc": 0, "lp": 0, "pb": 0},)


def round_weights(
    arrays: Arrays, latents: NDArray[np.float32], roughness: float
) -> dict[str, NDArray[np.generic]]:
    """Replace every large weight of a decoder, and its bias, by integer codes and steps.

    `latents` (n, k) are the decoder's inputs. The steps are stored as `NAME.step`.
    """
    rounded = dict(arrays)
    large = [name for name, weight in arrays.items() if _is_large(name, weight)]
    for name in large:
        weight = arrays[name]
        reads_latents = name == large[0] and weight.shape[1] == latents.shape[1]
        inputs = _root_mean_square(latents) if reads_latents else np.ones(weight.shape[1])
        by_input = np.moveaxis(weight.astype(np.float64), 1, 0)
        noise = roughness * (_spread(by_input, inputs) or 1.0)
        step = (noise / inputs).astype(np.float32)
        rounded[name] = _codes(by_input / _along_first_axis(step, weight.ndim))
        rounded[name + ".step"] = step
        bias = name.removesuffix("weight") + "bias"
        if bias in arrays:
            rounded[bias + ".step"] = np.array([noise], np.float32)
            rounded[bias] = _codes(arrays[bias].astype(np.float32) / np.float32(noise))
    return rounded


def restore_weights(arrays: Arrays) -> dict[str, NDArray[np.generic]]:
    """Return a decoder's arrays as float32, undoing `round_weights` where it was applied."""
    names = [name for name in arrays if not name.endswith(".step")]
    return {name: _restored(arrays[name], arrays.get(name + ".step")) for name in names}


def pack_xz(content: bytes) -> bytes:
    """Compress bytes into a standard .xz file."""
    return lzma.compress(content, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=list(XZ))


def sensitivity(
    decode: Callable[[NDArray[np.float32]], Values], latents: NDArray[np.float32]
) -> Values:
    """Measure how much each latent moves the decoded values, (k,).

    The mean squared change of a decoded value per unit change of the latent, by finite
    differences around latents (n, k).
    """
    start = decode(latents)
    steps = latents.std(axis=0).astype(np.float64) * PROBE
    found = np.zeros(latents.shape[1])
    for index in np.flatnonzero(steps > 0):
        moved = latents.copy()
        moved[:, index] += np.float32(steps[index])
        found[index] = np.square(decode(moved) - start).mean() / steps[index] ** 2
    return found


def _is_large(name: str, weight: NDArray[np.generic]) -> bool:
    return name.endswith(".weight") and weight.ndim >= 2 and weight.size >= FEWEST_WEIGHTS


def _root_mean_square(latents: NDArray[np.float32]) -> Values:
    found = np.sqrt(np.square(latents.astype(np.float64)).mean(axis=0))
    return np.where(found > 0, found, 1.0)


def _spread(by_input: Values, inputs: Values) -> float:
    """Return the standard deviation of the weights, each times the size of its input."""
    return float((by_input.reshape(len(inputs), -1) * inputs[:, None]).std())


def _restored(values: NDArray[np.generic], step: NDArray[np.generic] | None) -> NDArray[np.generic]:
    if step is None:
        return values
    scaled = values.astype(np.float64) * _along_first_axis(step, values.ndim)
    by_output = np.moveaxis(scaled, 0, 1) if values.ndim > 1 else scaled
    return np.ascontiguousarray(by_output).astype(np.float32)


def _along_first_axis(step: NDArray[np.generic], ndim: int) -> Values:
    return step.astype(np.float64).reshape(-1, *[1] * (ndim - 1))


def _codes(values: NDArray[np.floating]) -> NDArray[np.signedinteger]:
    """Round to integers of the narrowest signed dtype."""
    codes: Values = np.rint(values)
    largest = np.abs(codes).max(initial=0)
    if largest < 128:
        return codes.astype(np.int8)
    return codes.astype(np.int16 if largest < 32_768 else np.int32)
