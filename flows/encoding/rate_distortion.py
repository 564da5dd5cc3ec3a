"""Error against size, measured on a few rows: the cost of more bits, the savings of fewer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flows.encoding.latent_bytes import latent_bytes
from flows.encoding.precision import Encoded, Stored
from storage.codecs.blocks import GridCodec, encode_block
from storage.codecs.candidates import rmse
from storage.codecs.columns import Order
from storage.codecs.grid import Grid
from storage.latents import Bound, Scale
from storage.latents.shard import latents_as_read

LEVELS = (3, 7, 15, 31, 63, 127, 255)
SHARES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # of the tolerance
MOST_VALUES = 1 << 16
MOST_COLUMNS = 1 << 10  # of wide rows, to each of which a grid is fitted


@dataclass(frozen=True)
class Point:
    """Estimated bytes of the whole store with a codec, and its RMSE on the measured rows."""

    codec: str
    rmse: float
    bytes: int


def error_curve(stored: Stored, sample: Encoded, bound: Bound, n_rows: int) -> list[Point]:
    """Points for latents in 3 to 255 levels, and for rounding to grids around the bound.

    Without a bound, around the error of the latents. n_rows: rows of the source.
    """
    few = _few_rows(sample)
    if not len(few.rows):
        return []
    by_latents = _finite(_latent_points(stored, few, n_rows))
    if not by_latents:
        return []
    tolerance = _grid_tolerance(bound, by_latents[-1].rmse)
    return by_latents + _finite(_grid_points(sample, tolerance, n_rows))


def _few_rows(sample: Encoded) -> Encoded:
    return sample.every(max(1, sample.rows.size // MOST_VALUES)).measurable()


def _grid_tolerance(bound: Bound, latents_rmse: float) -> NDArray[np.float64]:
    """The tolerance (d,) around which grids are measured.

    Rounding within a tolerance t has an RMSE of t / √3, so √3 RMSE stands in for a missing bound.
    """
    usable = np.isfinite(bound.tolerance) & (bound.tolerance > 0)
    substitute = min(np.sqrt(3) * latents_rmse, np.sqrt(3) * bound.rmse)
    return np.where(usable, bound.tolerance, substitute)


def _finite(points: Iterator[Point]) -> list[Point]:
    return [point for point in points if np.isfinite(point.rmse)]


def _latent_points(stored: Stored, few: Encoded, n_rows: int) -> Iterator[Point]:
    low, high = few.latents.min(axis=0), few.latents.max(axis=0)
    for levels in LEVELS:
        scale = Scale("int8", low, high, np.full(len(low), levels))
        size = stored.decoder_bytes + latent_bytes(scale, few.latents, n_rows)
        yield Point("latents", few.loss(stored.decoder, latents_as_read(scale, few.latents)), size)


def _grid_points(sample: Encoded, tolerance: NDArray[np.float64], n_rows: int) -> Iterator[Point]:
    """Yield points of grids, of wide rows measured on evenly spaced columns."""
    columns = slice(None, None, -(-len(tolerance) // MOST_COLUMNS))
    rows = _few_rows(replace(sample, rows=sample.rows[:, columns])).rows
    values = n_rows * len(tolerance)
    for share in SHARES if (tolerance > 0).any() else ():
        wide = share * tolerance[columns]
        codec = GridCodec(Grid.fit(rows, wide, phases=1), [Order()] * rows.shape[1], "zstd")
        block, back = encode_block(codec, rows, None, Bound(wide))
        yield Point("grid", rmse(rows, back), round(len(block) * values / rows.size))
