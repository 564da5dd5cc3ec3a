"""What a reader of a store gets, and whether it is what was written."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aemodel.decoder import Decoder
from flows.encoding.waiting_rows import Rows
from storage.codecs.grid import to_types
from storage.sources import Schema


def as_read(
    decoder: Decoder, latents: NDArray[np.float32], keys: NDArray[np.float64], schema: Schema
) -> Rows:
    """Rows (n, d) as a reader gets them; keys: (n,) of their entities, if they have any.

    Decoded and rounded batch by batch, so that exact values stay in the CPU caches.
    """
    rows = np.empty((len(latents), decoder.layout.n_features), schema.dtype)
    for start in range(0, len(rows), decoder.size):
        batch = slice(start, start + decoder.size)
        exact = decoder.decode_exactly(latents[batch], keys[batch])
        flat = exact.reshape(len(exact), rows.shape[1])
        rows[batch] = to_types(flat, schema.dtype, schema.types)
    return rows


def identical(found: Rows, expected: Rows) -> bool:
    """Whether two arrays hold the same values; NaN equals NaN."""
    return np.array_equal(found, expected, equal_nan=expected.dtype.kind == "f")
