"""The state of a training after an epoch, as arrays and as bytes. Nothing is pickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from aemodel.errors import BundleError
from aemodel.training.result import Epoch

FORMAT_VERSION = 1
PARTS = ("weights", "optimizer", "best_weights")

ByName = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True)
class TrainingState:
    """All that the rest of a training depends on, beside rows and settings.

    epochs: all so far, at least one. weights: of all members, by name. optimizer: its values for
    each weight, as "name.value". generator: (k,) uint8, the state of the random generator.
    best: number of the epoch with the lowest validation loss, and its weights; 0 and none without
    early stopping.
    """

    epochs: tuple[Epoch, ...]
    weights: ByName
    optimizer: ByName
    generator: NDArray[np.uint8]
    best: int
    best_weights: ByName


def state_bytes(state: TrainingState) -> bytes:
    """Encode a state as a safetensors file."""
    losses = [(epoch.train_loss, epoch.validation_loss) for epoch in state.epochs]
    arrays: dict[str, NDArray[np.generic]] = {
        "losses": np.array(losses),
        "generator": state.generator,
    }
    for part in PARTS:
        arrays |= {f"{part}.{name}": array for name, array in getattr(state, part).items()}
    facts = {"format_version": str(FORMAT_VERSION), "best": str(state.best)}
    return safetensors.numpy.save(arrays, metadata=facts)


def state_from_bytes(content: bytes) -> TrainingState:
    """Decode a state. Raises BundleError if it is damaged or of another format_version."""
    try:
        facts, arrays = _metadata(content), safetensors.numpy.load(content)
        if facts["format_version"] != str(FORMAT_VERSION):
            raise BundleError(
                f"checkpoint: format_version must be {FORMAT_VERSION}. "
                f"Got {facts['format_version']} instead; train again"
            )
        return TrainingState(
            epochs=_epochs(arrays["losses"]),
            generator=arrays["generator"].astype(np.uint8),
            best=int(facts["best"]),
            **{part: _part(arrays, f"{part}.") for part in PARTS},
        )
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise BundleError(f"checkpoint: damaged ({error}); train again") from error


def _epochs(losses: NDArray[np.generic]) -> tuple[Epoch, ...]:
    return tuple(Epoch(number, *pair) for number, pair in enumerate(losses.tolist(), start=1))


def _part(arrays: ByName, prefix: str) -> dict[str, NDArray[np.generic]]:
    names = [name for name in arrays if name.startswith(prefix)]
    return {name.removeprefix(prefix): arrays[name] for name in names}


def _metadata(content: bytes) -> dict[str, str]:
    """Return the metadata of a safetensors file, which the library reads from paths alone.

    They are in the JSON that the file begins with, after its length in 8 bytes.
    """
    stop = 8 + int.from_bytes(content[:8], "little")
    metadata: dict[str, str] = json.loads(content[8:stop])["__metadata__"]
    return metadata
