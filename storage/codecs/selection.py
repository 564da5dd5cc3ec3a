"""The contest that picks the codec of a store with an error bound.

Every candidate packs the same sample, the fewest bytes win.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.codecs import sz3
from storage.codecs.blocks import (
    Bound,
    Codec,
    GridCodec,
    Predicted,
    ResidualCodec,
    Sz3Codec,
    encode_block,
    residual_step,
)
from storage.codecs.column_orders import choose_orders
from storage.codecs.grid import PHASES, Grid, to_dtype

log = logging.getLogger(__name__)
RMSE_SHARE = (
    0.99  # of the budget that a codec is set to on the sample, since other rows differ from it
)
SEARCH_STEPS = 9
QUICK_FIRST = ("zstd", "xz")
HOPELESS = 1.4  # times the smallest so far: a slower coder does not save so much
SZ3_VALUES = 200_000  # on which SZ3 is set to an RMSE, for it is slow
SZ3_SHARE = 0.97  # of the tolerance found on them
WORTH = 0.99  # a quicker coder is taken where it costs a hundredth more at most


@dataclass(frozen=True)
class Sample:
    """What the contest is held on: rows (n, d), what the decoder makes of their stored latents (n, d), and what a row stands for.

    rows_in_all: rows of the store. decoder_bytes, latent_bytes: what the decoder and the latents of the whole store take. latents_rmse:
    the root mean square error of the latents alone, on as many rows as were looked at.
    """

    rows: NDArray[Any]
    predicted: Predicted
    row_shape: tuple[int, ...]
    rows_in_all: int
    decoder_bytes: int = 0
    latent_bytes: int = 0
    latents_rmse: float = float("inf")


@dataclass(frozen=True)
class Entry:
    """A candidate and the bytes that the whole store would take.

    No codec: the latents alone hold the bound.
    """

    name: str
    codec: Codec | None
    store_bytes: int

    @property
    def decodes_latents(self) -> bool:
        """Whether decoding reads latents and decoder."""
        return self.codec is None or self.codec.name == "residual"


def hold_contest(sample: Sample, bound: Bound) -> list[Entry]:
    """All candidates that hold `bound` on the sample, the smallest first.

    The last resort, without loss, is always among them.
    """
    alone = _latents_alone(sample, bound)
    entries = [alone] if alone else []
    for name, codecs in candidates(sample, bound):
        for codec in codecs:
            entry = _measured(name, codec, sample, bound)
            if entry is None:
                break
            entries.append(entry)
            if entry.store_bytes > HOPELESS * min(each.store_bytes for each in entries):
                break  # another coder will not save it
    return sorted(
        entries,
        key=lambda entry: (
            entry.store_bytes
            * (WORTH if entry.codec is None or entry.codec.coder == "zstd" else 1.0)
        ),
    )


def _measured(name: str, codec: Codec, sample: Sample, bound: Bound) -> Entry | None:
    """What the whole store would take by this codec;

    None where it breaks the bound on the sample.
    """
    block, back = encode_block(codec, sample.rows, sample.predicted, bound)
    if rmse(sample.rows, back) > bound.rmse:
        return None
    whole = round(len(block) * sample.rows_in_all / max(1, len(sample.rows)))
    extra = sample.decoder_bytes + sample.latent_bytes if codec.name == "residual" else 0
    log.info("contest: %s, %s would take %s bytes", name, codec.coder, whole + extra)
    return Entry(f"{name}, {codec.coder}" if codec.name != "sz3" else name, codec, whole + extra)


def candidates(sample: Sample, bound: Bound) -> list[tuple[str, list[Codec]]]:
    """All codecs by name, set to the bound, each with the quicker of its coders first.

    The simple ones before the others.
    """
    rows, d = sample.rows, sample.rows.shape[1]
    found: list[tuple[str, list[Codec]]] = []
    phases = (
        PHASES if np.isinf(bound.rmse) else 1
    )  # the search for the widest grid counts on its phase
    for name, tolerance in (("grid", _grid_tolerance(rows, bound)), ("lossless", np.zeros(d))):
        grid = Grid.fit(rows, tolerance, phases=phases)
        orders = choose_orders(grid.codes(rows), sample.row_shape)
        found.append((name, [GridCodec(grid, orders, coder) for coder in QUICK_FIRST]))
    if sample.predicted is not None:
        found += _residual_candidates(sample, sample.predicted, bound)
    return found + (_sz3_candidates(sample, bound) if sz3.installed() else [])


def rmse(rows: NDArray[Any], back: NDArray[Any]) -> float:
    """Root mean square difference over the values of `rows` that are finite.

    Infinite where one of them comes back as something else.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        differences = (rows.astype(np.float64) - back.astype(np.float64))[np.isfinite(rows)]
        squares = np.square(differences)
    if not squares.size:
        return 0.0
    return float(np.sqrt(squares.mean())) if np.isfinite(squares).all() else float("inf")


def widest_tolerance(
    bound: Bound, loss: Callable[[NDArray[np.float64]], float]
) -> NDArray[np.float64]:
    """The widest tolerance (d,) within the bound at which `loss(tolerance)`, a root mean square error, keeps the budget."""
    if np.isinf(bound.rmse):
        return bound.tolerance
    budget = RMSE_SHARE * bound.rmse
    low, high = (
        budget,
        budget * 32,
    )  # rounding to steps of twice the tolerance has an RMSE of 0.58 of it, or less
    for _ in range(SEARCH_STEPS):
        middle = float(np.sqrt(low * high))
        low, high = (
            (middle, high) if loss(np.minimum(bound.tolerance, middle)) <= budget else (low, middle)
        )
    return np.minimum(bound.tolerance, low)


def _latents_alone(sample: Sample, bound: Bound) -> Entry | None:
    holds = np.isinf(bound.tolerance).all() and sample.latents_rmse <= bound.rmse
    return Entry("latents", None, sample.decoder_bytes + sample.latent_bytes) if holds else None


def _grid_tolerance(rows: NDArray[Any], bound: Bound) -> NDArray[np.float64]:
    def loss(tolerance: NDArray[np.float64]) -> float:
        grid = Grid.fit(rows, tolerance, phases=1)
        return rmse(rows, grid.values(grid.codes(rows), rows.dtype.name))

    return widest_tolerance(bound, loss)


def _residual_candidates(
    sample: Sample, predicted: NDArray[np.float64], bound: Bound
) -> list[tuple[str, list[Codec]]]:
    rows, dtype = sample.rows, sample.rows.dtype.name
    with np.errstate(invalid="ignore", over="ignore"):
        residual = np.nan_to_num(rows.astype(np.float64) - predicted)

    def loss(tolerance: NDArray[np.float64]) -> float:
        step = residual_step(tolerance, dtype)
        return rmse(rows, to_dtype(predicted + np.rint(residual / step) * step, dtype))

    step = residual_step(widest_tolerance(bound, loss), dtype)
    if not (step > 0).all():
        return []
    orders = choose_orders(
        np.rint(np.clip(residual / step, -(2**31), 2**31)).astype(np.int64), sample.row_shape
    )
    return [("residual", [ResidualCodec(step, orders, coder) for coder in QUICK_FIRST])]


def _sz3_candidates(sample: Sample, bound: Bound) -> list[tuple[str, list[Codec]]]:
    rows, dtype = sample.rows, sample.rows.dtype.name
    if not (bound.tolerance > 0).all() or rows.nbytes < sz3.FEWEST_BYTES:
        return []
    layouts: Sequence[str] = sz3.LAYOUTS if len(sample.row_shape) > 1 else sz3.LAYOUTS[:2]
    few = rows[: max(1, SZ3_VALUES // rows.shape[1])]

    def loss(tolerance: NDArray[np.float64]) -> float:
        return rmse(
            few,
            sz3.unpack(
                sz3.pack(few, tolerance, sample.row_shape, "rows"), len(few), few.shape[1], dtype
            ),
        )

    tolerance = sz3_tolerance(
        SZ3_SHARE * widest_tolerance(bound, loss) if np.isfinite(bound.rmse) else bound.tolerance,
        dtype,
    )
    return [
        (f"sz3 by {layout}", [Sz3Codec(tolerance, sample.row_shape, layout)]) for layout in layouts
    ]


def sz3_tolerance(tolerance: NDArray[np.float64], dtype: str) -> NDArray[np.float64]:
    """The tolerance (d,) that SZ3 is given.

    Whole numbers are rounded once more when they are brought back.
    """
    return tolerance if np.dtype(dtype).kind == "f" else np.asarray(np.floor(tolerance) + 0.5)
