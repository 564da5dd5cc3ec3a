"""Split clean rows into fit, validation and calibration rows by the content of each row.

A row stays in the same split in every retraining. Duplicates stay together, so no calibration row
has a copy among the fit rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from aemodel.settings import TrainSettings


@dataclass(frozen=True)
class Sides:
    """Boolean masks (n,) of the rows of one chunk; each row is in exactly one split."""

    fit: NDArray[np.bool_]
    validation: NDArray[np.bool_]
    calibration: NDArray[np.bool_]


def row_hashes(rows: NDArray[np.generic]) -> NDArray[np.uint64]:
    """Hash the bytes of each of rows (n, *row_shape) with 64-bit BLAKE2b: (n,).

    Rows are hashed in little-endian byte order, so the result is the same on every machine.
    """
    rows = np.ascontiguousarray(rows, dtype=rows.dtype.newbyteorder("<"))
    size = rows.dtype.itemsize * int(np.prod(rows.shape[1:], dtype=np.int64))
    buffer = rows.reshape(-1).view(np.uint8).data
    starts = range(0, len(buffer), size) if size else range(0)
    digests = b"".join(_digest(buffer[start : start + size]) for start in starts)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def _digest(row: memoryview) -> bytes:
    return blake2b(row, digest_size=8).digest()


def sides_of(hashes: NDArray[np.uint64], settings: TrainSettings) -> Sides:
    """Assign rows with these hashes (n,) to splits by the shares `calibration` and `validation`."""
    position = hashes / 2.0**64
    calibration = position < settings.calibration
    validation = ~calibration & (position < settings.calibration + settings.validation)
    return Sides(~calibration & ~validation, validation, calibration)
