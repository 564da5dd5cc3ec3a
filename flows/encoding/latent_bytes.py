"""How many bytes latents take in a store."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from storage.codecs.columns import Order, pack_columns
from storage.latents import Scale
from storage.latents.hdf5 import CHUNK_ROWS, LEVEL


def latent_bytes(scale: Scale, latents: NDArray[np.float32], n_rows: int) -> int:
    """Estimated bytes of the latents of `n_rows` rows, from some of them (n, k).

    Latents outside the scale are counted with their rows and values.
    """
    codes, outside = scale.encode(latents)
    beside = _outside_bytes(latents, outside)
    size = beside + (_packed_bytes(codes) if scale.coded else codes.nbytes)
    return round(size * n_rows / max(1, len(latents)))


def _packed_bytes(codes: NDArray[np.generic]) -> int:
    return sum(map(len, pack_columns(codes.astype(np.int64), [Order()] * codes.shape[1], "zstd")))


def _outside_bytes(latents: NDArray[np.float32], outside: NDArray[np.bool_]) -> int:
    """Bytes of the latents (n, k) that no code can hold, packed like the chunks of the files."""
    rows, values = np.nonzero(outside)[0], latents[outside]
    return sum(
        _shuffled_bytes(each[start : start + CHUNK_ROWS])
        for each in (rows, values)
        for start in range(0, len(each), CHUNK_ROWS)
    )


def _shuffled_bytes(values: NDArray[np.generic]) -> int:
    planes = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1).T
    return len(zlib.compress(planes.tobytes(), LEVEL))
