"""Values as whole numbers on a grid per column.

    value = (offset + code * step) / divisor         divisor 0: the code is the value's bit pattern

Decimals, gray levels over 255 and binary fractions lie on exact grids: 0.37 is 37 / 100 and comes
back as the same double. Other values are rounded to a grid no coarser than the bound allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from storage.codecs.deviation import pieces
from storage.codecs.outside import far_outside

MARGIN = 1e-3  # share of the bound left for the rounding of another device
DECIMALS = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6)
PIXEL_LEVELS = (255.0, 65535.0)  # of 8-bit and 16-bit images scaled to 0..1
BINARY_FRACTIONS = (16.0, 256.0, 4096.0, 65536.0, 2.0**20)
DIVISORS = (*DECIMALS, *PIXEL_LEVELS, *BINARY_FRACTIONS)  # in the order in which they are tried
MOST_LARGE = 0.01  # share of values that may be too large for an exact grid
MOST_SENTINELS = 8  # or of distinct ones
EXACT = 2.0**53  # whole numbers up to here are exact in float64
FRACTION_SLACK = 1 - 1e-12  # decimal fractions are not exact in binary
SMALLEST = 1e-300  # tolerance; float64 cannot divide smaller ones further
PHASES = 16
PHASE_ROWS = 20_000  # rows of a column on which its phase is chosen
WORTH = 0.995  # another phase must save this share of the bits to replace the most frequent value


@dataclass(frozen=True)
class Grid:
    """The grids of d columns; offset, step, divisor: (d,) float64."""

    offset: NDArray[np.float64]
    step: NDArray[np.float64]
    divisor: NDArray[np.float64]

    @classmethod
    def fit(
        cls, rows: NDArray[np.generic], tolerance: NDArray[np.float64], *, phases: int = PHASES
    ) -> Grid:
        """Fit grids to rows (n, d) that keep every value within `tolerance` (d,).

        A tolerance below SMALLEST gives an exact grid. `phases`: number of offsets to try for the
        one that takes the fewest bits.
        """
        usable = np.where(tolerance < SMALLEST, 0.0, tolerance)
        columns = [
            _fit_column(rows[:, index], float(usable[index]), phases)
            for index in range(rows.shape[1])
        ]
        return cls(*np.array(columns, np.float64).reshape(-1, 3).T)

    def codes(self, rows: NDArray[np.generic]) -> NDArray[np.int64]:
        """Return the codes (n, d) of rows (n, d); 0 where a value is not finite."""
        codes = np.empty(rows.shape[::-1], np.int64).T  # coders read column by column
        for piece in pieces(rows):
            codes[piece] = self._codes(rows[piece])
        return codes

    def _codes(self, rows: NDArray[np.generic]) -> NDArray[np.int64]:
        as_bits = self.divisor == 0
        if not as_bits.any():
            return self._steps(rows, ~as_bits)
        codes = np.empty(rows.shape, np.int64)
        codes[:, as_bits] = bit_patterns(rows[:, as_bits])
        codes[:, ~as_bits] = self._steps(rows[:, ~as_bits], ~as_bits)
        return codes

    def _steps(self, rows: NDArray[np.generic], columns: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the nearest places on the grids of some columns, 0 where there is none."""
        offset, step, divisor = self._columns(columns)
        with np.errstate(invalid="ignore", over="ignore"):
            steps = rows.astype(np.float64)
            steps *= divisor
            steps -= offset
            steps /= step
            np.rint(steps, out=steps)
            fits = np.abs(steps) < EXACT
            return (steps if fits.all() else np.where(fits, steps, 0)).astype(np.int64)

    def values(self, codes: NDArray[np.int64], dtype: str) -> NDArray[np.generic]:
        """Return the rows (n, d) of `dtype` that codes (n, d) stand for."""
        rows = np.empty(codes.shape, dtype)
        for piece in pieces(codes):
            rows[piece] = self._values(codes[piece], dtype)
        return rows

    def _values(self, codes: NDArray[np.int64], dtype: str) -> NDArray[np.generic]:
        as_bits = self.divisor == 0
        if not as_bits.any():
            return to_dtype((self.offset + codes * self.step) / self.divisor, dtype)
        rows = np.empty(codes.shape, dtype)
        rows[:, as_bits] = from_bit_patterns(codes[:, as_bits], dtype)
        offset, step, divisor = self._columns(~as_bits)
        rows[:, ~as_bits] = to_dtype((offset + codes[:, ~as_bits] * step) / divisor, dtype)
        return rows

    def _columns(self, chosen: NDArray[np.bool_]) -> tuple[NDArray[np.float64], ...]:
        return self.offset[chosen], self.step[chosen], self.divisor[chosen]

    def pack(self) -> bytes:
        """Serialize the grids: three little-endian float64 arrays."""
        arrays = (self.offset, self.step, self.divisor)
        return b"".join(array.astype("<f8").tobytes() for array in arrays)

    @classmethod
    def unpack(cls, content: bytes) -> Grid:
        """Restore the grids from `pack`."""
        return cls(*np.frombuffer(content, "<f8").reshape(3, -1))


def to_dtype(rows: NDArray[np.float64], dtype: str) -> NDArray[np.generic]:
    """Convert values to the source's dtype: floats are cast, whole numbers rounded and clipped."""
    kind = np.dtype(dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        if kind.kind == "f":
            return _cast(rows, kind)
        if kind.kind == "b":
            return np.asarray(rows >= 0.5)
        lowest, highest = _float_limits(dtype)
        return np.asarray(np.clip(np.rint(rows), lowest, highest).astype(kind))


def _cast(rows: NDArray[np.float64], kind: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Cast values to a float dtype: one slightly beyond a narrower one is not infinite."""
    cast, most = rows.astype(kind), float(np.finfo(kind.name).max)
    if kind.itemsize == rows.dtype.itemsize or np.isfinite(cast).all():
        return cast
    return np.clip(rows, -most, most).astype(kind)


def to_types(rows: NDArray[np.float64], dtype: str, types: Sequence[str]) -> NDArray[np.generic]:
    """Convert values (n, d) to `dtype`, each rounded to its own dtype; see `restore_types`."""
    return restore_types(to_dtype(rows, dtype), types)


def restore_types(rows: NDArray[np.generic], types: Sequence[str]) -> NDArray[np.generic]:
    """Move values of rows (n, d) to the nearest that their own dtype holds, in place.

    types: one dtype for each column, or one for all; none where rows have their own dtype.
    """
    if len(types) == 1:
        rows[...] = _nearest(rows, types[0])
        return rows
    for index, name in enumerate(types):
        rows[:, index] = _nearest(rows[:, index], name)
    return rows


def _nearest(values: NDArray[np.generic], dtype: str) -> NDArray[np.generic]:
    """Return the values, in their dtype, that `dtype` holds; NaN stays."""
    if np.dtype(dtype) == values.dtype:
        return values
    if values.dtype.kind != "f":
        low, high = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        return np.asarray(np.clip(values, max(low, np.iinfo(values.dtype.name).min), high))
    known = np.nan_to_num(values.astype(np.float64), posinf=np.inf, neginf=-np.inf)
    nearest = to_dtype(known, dtype).astype(values.dtype)
    return np.where(np.isnan(values), values, nearest)


def _float_limits(dtype: str) -> tuple[float, float]:
    """Return the smallest and largest float64 inside an integer dtype."""
    limits = np.iinfo(dtype)
    if limits.bits == 64:  # the largest int64 is not a float64
        return float(limits.min), float(np.nextafter(float(limits.max) + 1, 0))
    return float(limits.min), float(limits.max)


def widest_step(tolerance: NDArray[np.float64], dtype: str) -> NDArray[np.float64]:
    """Return the widest step (d,) that keeps `tolerance` (d,) for values of `dtype`.

    Whole numbers are rounded once more when they are decoded.
    """
    if np.dtype(dtype).kind == "f":
        return np.asarray(2 * tolerance * (1 - MARGIN))
    return np.asarray(2 * np.floor(tolerance) + 1 - 2 * MARGIN)


def bit_patterns(rows: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return the bits of each value as a whole number that grows with the value."""
    if rows.dtype == np.uint64:
        return rows.view(np.int64)
    if rows.dtype.kind != "f":
        return rows.astype(np.int64)
    bits = np.ascontiguousarray(rows).view(f"i{rows.dtype.itemsize}")
    return np.where(bits < 0, bits ^ np.iinfo(bits.dtype).max, bits).astype(np.int64)


def from_bit_patterns(codes: NDArray[np.int64], dtype: str) -> NDArray[np.generic]:
    """Return the values of `dtype` whose `bit_patterns` are `codes`."""
    kind = np.dtype(dtype)
    if kind == np.uint64:
        return np.ascontiguousarray(codes).view(np.uint64)
    if kind.kind != "f":
        return codes.astype(kind)
    bits = codes.astype(f"i{kind.itemsize}")
    return np.where(bits < 0, bits ^ np.iinfo(bits.dtype).max, bits).view(kind)


def exact_divisor(column: NDArray[np.generic]) -> float:
    """Return the divisor of a grid that holds every finite value of a column (n,) exactly.

    0 if there is none. A few values may be too large for it: sentinels.
    """
    if column.dtype.kind != "f":
        return 1.0 if not len(column) or _fits_mostly(column.astype(np.float64)).any() else 0.0
    finite = column[np.isfinite(column)]
    for divisor in DIVISORS:
        if _lies_on_grid(finite, divisor):
            return divisor
    return 0.0


def _fits_mostly(places: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark the places (n,) that float64 holds exactly; none if it is not nearly all of them."""
    fits = np.abs(places) < EXACT
    large = places[~fits]
    few = len(large) <= MOST_LARGE * len(places) or len(np.unique(large)) <= MOST_SENTINELS
    return fits if few else np.zeros_like(fits)


def _lies_on_grid(finite: NDArray[np.generic], divisor: float) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        places = np.rint(finite.astype(np.float64) * divisor)
        fits = _fits_mostly(places)
        on_grid = (places / divisor).astype(finite.dtype) == finite
    return bool((on_grid[fits]).all() and (fits.any() or not len(finite)))


def _fit_column(
    column: NDArray[np.generic], tolerance: float, phases: int
) -> tuple[float, float, float]:
    """Return offset, step and divisor of one column."""
    finite = column[np.isfinite(column)] if column.dtype.kind == "f" else column
    divisor = exact_divisor(finite)
    if not len(finite):
        return 0.0, 1.0, 1.0
    places = _exact_places(finite, divisor)
    grain = float(np.gcd.reduce((places - places[0]).astype(np.int64))) or 1.0
    step = _widest_exact(tolerance, divisor, grain) * grain
    free = float(widest_step(np.asarray(tolerance), column.dtype.name))
    if divisor and (tolerance == 0 or step / divisor >= free):
        return _phase(places, step, grain, phases), step, divisor
    if tolerance == 0:
        return 0.0, 1.0, 0.0
    return _phase(_without_outside(finite, free), free, 0.0, phases), free, 1.0


def _exact_places(finite: NDArray[np.generic], divisor: float) -> NDArray[np.float64]:
    """Return the places on an exact grid, without the values that are too large for it."""
    with np.errstate(over="ignore"):
        places = np.rint(finite.astype(np.float64) * divisor)
    return places[np.abs(places) < EXACT]


def _without_outside(finite: NDArray[np.generic], step: float) -> NDArray[np.float64]:
    """Return the values to fit a grid to: all but those far outside, if that leaves any."""
    values = finite.astype(np.float64)
    near = values[~far_outside(values[:, None], step)[:, 0]]
    return near if len(near) else values


def _widest_exact(tolerance: float, divisor: float, grain: float) -> float:
    """Return the widest step, an odd number of grains, that keeps `tolerance`."""
    if not divisor or not np.isfinite(tolerance):
        return 1.0
    slack = 1.0 if divisor == 1 else FRACTION_SLACK
    return 2 * float(np.floor(tolerance * slack * divisor / grain)) + 1


def _phase(places: NDArray[np.float64], step: float, grain: float, phases: int) -> float:
    """Return the offset of a grid with this step that takes the fewest bits.

    The grid passes through the most frequent value, unless another offset is worth it.
    """
    if step == grain:
        return float(places.min())
    sample = places[:: max(1, len(places) // PHASE_ROWS)]
    values, counts = np.unique(sample, return_counts=True)
    mode = float(values[counts.argmax()])
    move = max(grain, np.rint(step / phases / grain) * grain) if grain else step / phases
    offsets = [mode + index * move for index in range(min(phases, int(np.ceil(step / move))))]
    with np.errstate(over="ignore", invalid="ignore"):
        bits = [_entropy(np.rint((values - offset) / step), counts) for offset in offsets]
    best = int(np.argmin(bits))
    return offsets[best] if bits[best] < WORTH * bits[0] else mode


def _entropy(codes: NDArray[np.float64], counts: NDArray[np.int64]) -> float:
    """Return the bits per value of ascending codes, each with its count."""
    starts = np.flatnonzero(np.diff(codes, prepend=np.nan) != 0)
    shares = np.add.reduceat(counts, starts) / counts.sum()
    return float(-(shares * np.log2(shares)).sum())
