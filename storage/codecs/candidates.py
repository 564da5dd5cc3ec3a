"""The codecs that enter the contest of a store, each set to the error bound."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from storage.codecs import sz3
from storage.codecs.blocks import (
    LARGEST_CODE,
    Bound,
    Codec,
    GridCodec,
    Predicted,
    ResidualCodec,
    Sz3Codec,
)
from storage.codecs.column_orders import choose_orders
from storage.codecs.columns import Order
from storage.codecs.deviation import differences, norms, pieces
from storage.codecs.differences import DifferencesCodec, choose_axes, one_grid_codes
from storage.codecs.grid import PHASES, SMALLEST, Grid, restore_types, to_types, widest_step
from storage.errors import CodecError

log = logging.getLogger(__name__)
RMSE_SHARE = 0.99  # of the budget that a codec may use on the sample: other rows differ from it
SEARCH_STEPS = 9
# Rounding to steps of twice the tolerance has an RMSE of at most 0.58 of it, so the tolerance may
# exceed the budget.
WIDEST_SEARCHED = 32.0
LARGEST_SEARCHED = 1e150  # of which the square is a float64
FAST_FIRST = ("zstd", "xz")
SZ3_VALUES = 200_000  # on which SZ3 is set to an RMSE, because it is slow
SZ3_SHARE = 0.97  # of the tolerance found on them
Rmse = Callable[[NDArray[np.float64]], float]


@dataclass(frozen=True)
class Sample:
    """The rows of the contest and what they stand for.

    rows: (n, d). predicted: (n, d), the decoder's output for their stored latents. rows_in_all:
    rows of the store. decoder_bytes, latent_bytes, exact_bytes: size of the decoder, of the latents
    of the whole store, and of the rows kept exactly if latents alone hold the bound. latents_rmse:
    root mean square error of the latents alone.
    """

    rows: NDArray[np.generic]
    predicted: Predicted
    row_shape: tuple[int, ...]
    rows_in_all: int
    decoder_bytes: int = 0
    latent_bytes: int = 0
    exact_bytes: int = 0
    latents_rmse: float = float("inf")

    @property
    def dtype(self) -> str:
        """The name of the rows' dtype."""
        return self.rows.dtype.name


@dataclass(frozen=True)
class Candidate:
    """A codec set to the bound, once with each coder, the faster first."""

    name: str
    codecs: Sequence[Codec]


def candidates(sample: Sample, bound: Bound, *, fast: bool = False) -> list[Candidate]:
    """Return all codecs, set to the bound, the simple ones first.

    fast: only grids by pcodec or zstd, column by column, which take a small part of the others'
    time.
    """
    # the search for the widest grid needs one fixed phase
    phases = PHASES if np.isinf(bound.rmse) else 1
    exact = np.zeros(sample.rows.shape[1])
    tolerance = _grid_tolerance(sample.rows, bound)
    if fast:
        return [
            _fast_candidate("grid", sample, tolerance, phases),
            _fast_candidate("lossless", sample, exact, phases),
        ]
    return [
        _grid_candidate("grid", sample, tolerance, phases),
        _grid_candidate("lossless", sample, exact, phases),
        _differences_candidate("differences", sample, bound, phases),
        _differences_candidate("lossless differences", sample, Bound(exact), phases),
        *_residual_candidates(sample, bound),
        *_sz3_candidates(sample, bound),
    ]


def own_bound(name: str, bound: Bound) -> Bound:
    """Return what the values of a candidate are held to: those of a lossless one to no error."""
    if not name.startswith("lossless"):
        return bound
    return replace(bound, tolerance=np.zeros_like(bound.tolerance))


def rmse(rows: NDArray[np.generic], back: NDArray[np.generic]) -> float:
    """Return the root mean square difference over the finite values of `rows` (n, d).

    Infinity if `back` is not finite at one of them.
    """
    known, norm = 0, 0.0
    for piece in pieces(rows):
        finite = np.isfinite(rows[piece])
        if not (np.isfinite(back[piece]) | ~finite).all():
            return float("inf")
        known += int(finite.sum())
        norm = np.hypot(norm, norms(differences(rows[piece], back[piece]).reshape(-1, 1))[0])
    return float(norm / np.sqrt(max(1, known)))


def widest_tolerance(bound: Bound, loss: Rmse) -> NDArray[np.float64]:
    """Return the widest tolerance (d,) within the bound that keeps its RMSE.

    loss: returns the root mean square error at a tolerance (d,).
    """
    if np.isinf(bound.rmse):
        return bound.tolerance
    budget = min(RMSE_SHARE * bound.rmse, LARGEST_SEARCHED)
    low, high = budget, budget * WIDEST_SEARCHED
    for _ in range(SEARCH_STEPS):
        middle = float(np.sqrt(low * high))
        if loss(np.minimum(bound.tolerance, middle)) <= budget:
            low = middle
        else:
            high = middle
    return np.minimum(bound.tolerance, low)


def _grid_candidate(
    name: str, sample: Sample, tolerance: NDArray[np.float64], phases: int
) -> Candidate:
    grid = Grid.fit(sample.rows, tolerance, phases=phases)
    orders = choose_orders(grid.codes(sample.rows), sample.row_shape)
    return Candidate(name, [GridCodec(grid, orders, coder) for coder in FAST_FIRST])


def _fast_candidate(
    name: str, sample: Sample, tolerance: NDArray[np.float64], phases: int
) -> Candidate:
    grid = Grid.fit(sample.rows, tolerance, phases=phases)
    # zstd is faster than pcodec, but only for codes of one byte
    coders = ("fast zstd", "pco") if _one_byte(grid.codes(sample.rows)) else ("pco",)
    orders = [Order()] * len(tolerance)
    return Candidate(name, [GridCodec(grid, orders, coder) for coder in coders])


def _one_byte(codes: NDArray[np.int64]) -> bool:
    """Whether the codes of each column (n, d) span at most 256 numbers."""
    highest, lowest = codes.max(axis=0, initial=0), codes.min(axis=0, initial=0)
    return bool((highest.astype(np.float64) - lowest < 256).all())


def _grid_tolerance(rows: NDArray[np.generic], bound: Bound) -> NDArray[np.float64]:
    def loss(tolerance: NDArray[np.float64]) -> float:
        grid = Grid.fit(rows, tolerance, phases=1)
        back = grid.values(grid.codes(rows), rows.dtype.name)
        return rmse(rows, restore_types(back, bound.types))

    return widest_tolerance(bound, loss)


def _differences_candidate(name: str, sample: Sample, bound: Bound, phases: int) -> Candidate:
    """Return the codec of differences on one grid for all columns."""
    column = np.ascontiguousarray(sample.rows).reshape(-1, 1)
    one = replace(bound, tolerance=_one_for_all(bound.tolerance)[:1], types=())
    grid = Grid.fit(column, _grid_tolerance(column, one), phases=phases)
    axes = choose_axes(one_grid_codes(sample.rows, grid), sample.row_shape)
    codecs = [DifferencesCodec(grid, sample.row_shape, axes, coder) for coder in FAST_FIRST]
    return Candidate(name, codecs)


def _one_for_all(tolerance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the smallest tolerance that is not 0, for every column (d,)."""
    smallest = tolerance[tolerance > 0].min(initial=np.inf) if tolerance.any() else 0.0
    return np.full_like(tolerance, smallest)


def _residual_candidates(sample: Sample, bound: Bound) -> Iterator[Candidate]:
    """Yield the residual codec, if there is a decoder and a step for every column."""
    predicted = sample.predicted
    if predicted is None:
        return
    with np.errstate(invalid="ignore", over="ignore"):
        residual = np.nan_to_num(sample.rows.astype(np.float64) - predicted)

    def loss(tolerance: NDArray[np.float64]) -> float:
        step = np.maximum(widest_step(tolerance, sample.dtype), SMALLEST)
        rounded = np.rint(residual / step) * step
        return rmse(sample.rows, to_types(predicted + rounded, sample.dtype, bound.types))

    step = widest_step(widest_tolerance(bound, loss), sample.dtype)
    if (step >= SMALLEST).all():
        steps = np.clip(residual / step, -LARGEST_CODE, LARGEST_CODE)
        orders = choose_orders(np.rint(steps).astype(np.int64), sample.row_shape)
        yield Candidate("residual", [ResidualCodec(step, orders, coder) for coder in FAST_FIRST])


def _sz3_candidates(sample: Sample, bound: Bound) -> Iterator[Candidate]:
    """Yield SZ3 in each layout, if it is installed and the bound allows it."""
    too_small = sample.rows.nbytes < sz3.FEWEST_BYTES
    smallest = min(bound.tolerance.min(), bound.rmse)
    if not sz3.installed() or too_small or smallest < SMALLEST:
        return
    try:
        tolerance = sz3_tolerance(_sz3_widest(sample, bound), sample.dtype)
    except CodecError as error:
        log.warning("SZ3 is not used: %s", error)
        return
    for layout in sz3.layouts(sample.row_shape):
        units = _one_for_all(tolerance) if layout == "flat" else tolerance
        codec = Sz3Codec(units, sample.row_shape, layout)
        yield Candidate(f"sz3 {'flat' if layout == 'flat' else f'by {layout}'}", [codec])


def _sz3_widest(sample: Sample, bound: Bound) -> NDArray[np.float64]:
    """Return the tolerance (d,) at which SZ3 keeps the RMSE on a few rows. Raises CodecError."""
    if np.isinf(bound.rmse):
        return bound.tolerance
    few = sample.rows[: max(1, SZ3_VALUES // sample.rows.shape[1])]
    layout = sz3.layouts(sample.row_shape)[0]

    def loss(tolerance: NDArray[np.float64]) -> float:
        parts = sz3.compress(few, tolerance, sample.row_shape, layout)
        back = sz3.decompress(parts, (len(few), few.shape[1]), sample.dtype)
        return rmse(few, restore_types(back, bound.types))

    return np.asarray(SZ3_SHARE * widest_tolerance(bound, loss))


def sz3_tolerance(tolerance: NDArray[np.float64], dtype: str) -> NDArray[np.float64]:
    """Return the tolerance (d,) passed to SZ3.

    Whole numbers are rounded once more when they are decoded.
    """
    return tolerance if np.dtype(dtype).kind == "f" else np.asarray(np.floor(tolerance) + 0.5)
