"""The contest that picks the codec of a store with an error bound: every candidate packs the same sample, the fewest bytes win."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.latents import sz3
from storage.latents.blocks import Bound, Codec, GridCodec, Predicted, ResidualCodec, Sz3Codec, encode_block, residual_step
from storage.latents.columns import CODERS
from storage.latents.grid import PHASES, Grid, to_dtype
from storage.latents.orders import choose_orders

log = logging.getLogger(__name__)
RMSE_SHARE = 0.99  # of the budget that a codec is set to on the sample, since other rows differ from it
SEARCH_STEPS = 12
WORTH = 0.99  # a quicker coder is taken where it costs a hundredth more at most


@dataclass(frozen=True)
class Sample:
    """What the contest is held on: rows (n, d), what the decoder makes of their stored latents (n, d), and what a row stands for.

    rows_in_all: rows of the store. decoder_bytes, latent_bytes: what the decoder and the latents of the whole store take.
    """

    rows: NDArray[Any]
    predicted: Predicted
    row_shape: tuple[int, ...]
    rows_in_all: int
    decoder_bytes: int = 0
    latent_bytes: int = 0


@dataclass(frozen=True)
class Entry:
    """A candidate and the bytes that the whole store would take; no codec: the latents alone hold the bound."""

    name: str
    codec: Codec | None
    store_bytes: int

    @property
    def decodes_latents(self) -> bool:
        """Whether decoding reads latents and decoder."""
        return self.codec is None or self.codec.name == "residual"


def hold_contest(sample: Sample, bound: Bound) -> list[Entry]:
    """All candidates that hold `bound` on the sample, the smallest first; the last resort, without loss, is always among them."""
    entries = [_latents_alone(sample, bound)] if sample.predicted is not None else []
    for name, codec in candidates(sample, bound):
        block, back = encode_block(codec, sample.rows, sample.predicted, bound)
        if rmse(sample.rows, back) <= bound.rmse:
            whole = round(len(block) * sample.rows_in_all / max(1, len(sample.rows)))
            extra = sample.decoder_bytes + sample.latent_bytes if codec.name == "residual" else 0
            entries.append(Entry(name, codec, whole + extra))
            log.info("contest: %s would take %s bytes", name, whole + extra)
    found = [entry for entry in entries if entry is not None]
    return sorted(found, key=lambda entry: entry.store_bytes * (WORTH if entry.codec and entry.codec.coder == "zstd" else 1.0))


def candidates(sample: Sample, bound: Bound) -> list[tuple[str, Codec]]:
    """All codecs, set to the bound."""
    rows, d = sample.rows, sample.rows.shape[1]
    found: list[tuple[str, Codec]] = []
    phases = PHASES if np.isinf(bound.rmse) else 1  # the search for the widest grid counts on its phase
    for name, tolerance in (("lossless", np.zeros(d)), ("grid", _grid_tolerance(rows, bound))):
        grid = Grid.fit(rows, tolerance, phases=phases)
        orders = choose_orders(grid.codes(rows), sample.row_shape)
        found += [(f"{name}, {coder}", GridCodec(grid, orders, coder)) for coder in CODERS]
    if sample.predicted is not None:
        found += _residual_candidates(sample, sample.predicted, bound)
    return found + (_sz3_candidates(sample, bound) if sz3.installed() else [])


def rmse(rows: NDArray[Any], back: NDArray[Any]) -> float:
    """Root mean square difference over values that are finite in both."""
    with np.errstate(invalid="ignore", over="ignore"):
        differences = rows.astype(np.float64) - back.astype(np.float64)
    finite = differences[np.isfinite(differences)]
    return float(np.sqrt(np.square(finite).mean())) if finite.size else 0.0


def widest_tolerance(bound: Bound, loss: Callable[[NDArray[np.float64]], float]) -> NDArray[np.float64]:
    """The widest tolerance (d,) within the bound at which `loss(tolerance)`, a root mean square error, keeps the budget."""
    if np.isinf(bound.rmse):
        return bound.tolerance
    budget = RMSE_SHARE * bound.rmse
    low, high = budget / 8, budget * 64
    for _ in range(SEARCH_STEPS):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if loss(np.minimum(bound.tolerance, middle)) <= budget else (low, middle)
    return np.minimum(bound.tolerance, low)


def _latents_alone(sample: Sample, bound: Bound) -> Entry | None:
    assert sample.predicted is not None
    back = to_dtype(sample.predicted, sample.rows.dtype.name)
    holds = np.isinf(bound.tolerance).all() and rmse(sample.rows, back) <= bound.rmse
    return Entry("latents", None, sample.decoder_bytes + sample.latent_bytes) if holds else None


def _grid_tolerance(rows: NDArray[Any], bound: Bound) -> NDArray[np.float64]:
    def loss(tolerance: NDArray[np.float64]) -> float:
        grid = Grid.fit(rows, tolerance, phases=1)
        return rmse(rows, grid.values(grid.codes(rows), rows.dtype.name))

    return widest_tolerance(bound, loss)


def _residual_candidates(sample: Sample, predicted: NDArray[np.float64], bound: Bound) -> list[tuple[str, Codec]]:
    rows, dtype = sample.rows, sample.rows.dtype.name
    with np.errstate(invalid="ignore", over="ignore"):
        residual = np.nan_to_num(rows.astype(np.float64) - predicted)

    def loss(tolerance: NDArray[np.float64]) -> float:
        step = residual_step(tolerance, dtype)
        return rmse(rows, to_dtype(predicted + np.rint(residual / step) * step, dtype))

    step = residual_step(widest_tolerance(bound, loss), dtype)
    if not (step > 0).all():
        return []
    orders = choose_orders(np.rint(np.clip(residual / step, -(2**31), 2**31)).astype(np.int64), sample.row_shape)
    return [(f"residual, {coder}", ResidualCodec(step, orders, coder)) for coder in CODERS]


def _sz3_candidates(sample: Sample, bound: Bound) -> list[tuple[str, Codec]]:
    rows, dtype = sample.rows, sample.rows.dtype.name
    if not (bound.tolerance > 0).all() or rows.nbytes < sz3.FEWEST_BYTES:
        return []
    layouts: Sequence[str] = sz3.LAYOUTS if len(sample.row_shape) > 1 else sz3.LAYOUTS[:2]
    found: list[tuple[str, Codec]] = []
    for layout in layouts:

        def loss(tolerance: NDArray[np.float64], layout: str = layout) -> float:
            return rmse(rows, sz3.unpack(sz3.pack(rows, tolerance, sample.row_shape, layout), len(rows), rows.shape[1], dtype))

        tolerance = sz3_tolerance(widest_tolerance(bound, loss), dtype)
        found.append((f"sz3 by {layout}", Sz3Codec(tolerance, sample.row_shape, layout)))
    return found


def sz3_tolerance(tolerance: NDArray[np.float64], dtype: str) -> NDArray[np.float64]:
    """The tolerance (d,) that SZ3 is given; whole numbers are rounded once more when they are brought back."""
    return tolerance if np.dtype(dtype).kind == "f" else np.asarray(np.floor(tolerance) + 0.5)
