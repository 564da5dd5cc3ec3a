"""Which clean rows fit the network, which validate it, and which only serve p-values: decided by the content of the row.

The same row keeps its side in every retraining, and duplicates stay together, so that no calibration row has a twin among fit rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aemodel.settings import TrainSettings


@dataclass(frozen=True)
class Sides:
    """Boolean masks (n,) of the rows of one chunk; each row is on exactly one side."""

    fit: NDArray[np.bool_]
    validation: NDArray[np.bool_]
    calibration: NDArray[np.bool_]


def row_hashes(rows: NDArray[Any]) -> NDArray[np.uint64]:
    """64-bit BLAKE2b of the bytes of each row of (n, *row_shape), as (n,).

    Little-endian, so the same on every machine.
    """
    rows = np.ascontiguousarray(rows, dtype=rows.dtype.newbyteorder("<"))
    size = rows.dtype.itemsize * int(np.prod(rows.shape[1:], dtype=np.int64))
    buffer = rows.reshape(-1).view(np.uint8).data
    digests = (
        b"".join(
            blake2b(buffer[at : at + size], digest_size=8).digest()
            for at in range(0, len(buffer), size)
        )
        if size
        else b""
    )
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def sides_of(hashes: NDArray[np.uint64], settings: TrainSettings) -> Sides:
    """The sides of rows with these hashes (n,) under the shares `calibration` and `validation`."""
    place = hashes / 2.0**64
    calibration = place < settings.calibration
    validation = ~calibration & (place < settings.calibration + settings.validation)
    return Sides(~calibration & ~validation, validation, calibration)
