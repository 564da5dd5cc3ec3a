"""Error against size, measured on a few rows of the source.

What more or fewer bits would have cost, and saved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.encoding.precision import Encoded, Stored, latent_bytes
from storage.codecs.blocks import GridCodec, encode_block
from storage.codecs.columns import Order
from storage.codecs.grid import Grid
from storage.codecs.selection import rmse
from storage.latents import Bound, Scale
from storage.latents.shard import latents_as_read

LEVELS = (3, 7, 15, 31, 63, 127, 255)
SHARES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # of the tolerance
MOST_VALUES = 1 << 16


@dataclass(frozen=True)
class Point:
    """What the whole store would take by a codec, and its root mean square error on the rows looked at."""

    codec: str
    rmse: float
    bytes: int


def error_curve(stored: Stored, sample: Encoded, bound: Bound, n_rows: int) -> list[Point]:
    """Latents in 3 to 255 levels, and rounding to grids around the bound, or around the latents' own error where there is none."""
    step = max(1, sample.rows.size // MOST_VALUES)
    few = Encoded(np.ascontiguousarray(sample.rows[::step]), sample.latents[::step])
    if not len(few.rows):
        return []
    by_latents = [point for point in _latents(stored, few, n_rows) if np.isfinite(point.rmse)]
    if not by_latents:
        return []
    uniform = (
        np.sqrt(3) * by_latents[-1].rmse
    )  # rounding within a tolerance has an error of 1 / √3 of it
    tolerance = np.where(
        np.isfinite(bound.tolerance) & (bound.tolerance > 0),
        bound.tolerance,
        min(uniform, np.sqrt(3) * bound.rmse),
    )
    return by_latents + [
        point for point in _grids(few.rows, tolerance, n_rows) if np.isfinite(point.rmse)
    ]


def _latents(stored: Stored, few: Encoded, n_rows: int) -> Iterator[Point]:
    low, high = few.latents.min(axis=0), few.latents.max(axis=0)
    for levels in LEVELS:
        scale = Scale("int8", low, high, np.full(len(low), levels))
        size = stored.decoder_bytes + latent_bytes(scale, few.latents, n_rows)
        yield Point("latents", few.loss(stored.decoder, latents_as_read(scale, few.latents)), size)


def _grids(rows: NDArray[Any], tolerance: NDArray[np.float64], n_rows: int) -> Iterator[Point]:
    for share in SHARES if (tolerance > 0).any() else ():
        wide = share * tolerance
        block, back = encode_block(
            GridCodec(Grid.fit(rows, wide, phases=1), [Order()] * rows.shape[1], "zstd"),
            rows,
            None,
            Bound(wide),
        )
        yield Point("grid", rmse(rows, back), round(len(block) * n_rows / len(rows)))
