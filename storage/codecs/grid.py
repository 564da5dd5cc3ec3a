"""Values as whole numbers: exactly where a column lies on a grid of its own, else rounded to a grid no coarser than a bound allows.

    value = (offset + code * step) / divisor          divisor 0: the code is the bit pattern of the value

Decimals, grey levels over 255 and binary fractions lie on exact grids: 0.37 is 37 / 100 and comes back as the same double.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MARGIN = 1e-3  # of the bound, for the rounding of another device
DIVISORS = (
    1.0,
    10.0,
    100.0,
    1e3,
    1e4,
    1e5,
    1e6,
    255.0,
    65535.0,
    16.0,
    256.0,
    4096.0,
    65536.0,
    2.0**20,
)
EXACT = 2.0**53  # whole numbers up to here are exact in float64
PHASES = 16
PHASE_ROWS = 20_000  # rows of a column that its phase is chosen on
WORTH = 0.995  # share of the bits at which another phase is worth leaving the most frequent value


@dataclass(frozen=True)
class Grid:
    """The grids of d columns; offset, step, divisor: (d,) float64."""

    offset: NDArray[np.float64]
    step: NDArray[np.float64]
    divisor: NDArray[np.float64]

    @classmethod
    def fit(
        cls, rows: NDArray[Any], tolerance: NDArray[np.float64], *, phases: int = PHASES
    ) -> Grid:
        """Grids for rows (n, d) that keep every value within `tolerance` (d,), and exact where that is 0.

        `phases`: how many offsets are tried, for the one that takes the fewest bits.
        """
        found = [
            _fit_column(rows[:, index], float(tolerance[index]), phases)
            for index in range(rows.shape[1])
        ]
        return cls(*np.array(found, np.float64).reshape(-1, 3).T)

    def codes(self, rows: NDArray[Any]) -> NDArray[np.int64]:
        """Whole numbers (n, d) for rows (n, d); 0 where a value is not finite."""
        codes = np.empty(rows.shape, np.int64)
        as_bits = self.divisor == 0
        codes[:, as_bits] = bit_patterns(rows[:, as_bits])
        offset, step, divisor = (each[~as_bits] for each in (self.offset, self.step, self.divisor))
        with np.errstate(invalid="ignore", over="ignore"):
            steps = np.rint((rows[:, ~as_bits].astype(np.float64) * divisor - offset) / step)
            codes[:, ~as_bits] = np.where(np.abs(steps) < EXACT, steps, 0)
        return codes

    def values(self, codes: NDArray[np.int64], dtype: str) -> NDArray[Any]:
        """Rows (n, d) of `dtype` for whole numbers (n, d)."""
        rows = np.empty(codes.shape, dtype)
        as_bits = self.divisor == 0
        rows[:, as_bits] = from_bit_patterns(codes[:, as_bits], dtype)
        offset, step, divisor = (each[~as_bits] for each in (self.offset, self.step, self.divisor))
        rows[:, ~as_bits] = to_dtype((offset + codes[:, ~as_bits] * step) / divisor, dtype)
        return rows

    def pack(self) -> bytes:
        """The grids as bytes."""
        return b"".join(
            each.astype("<f8").tobytes() for each in (self.offset, self.step, self.divisor)
        )

    @classmethod
    def unpack(cls, content: bytes) -> Grid:
        """The grids of `pack`."""
        return cls(*np.frombuffer(content, "<f8").reshape(3, -1))


def to_dtype(values: NDArray[np.float64], dtype: str) -> NDArray[Any]:
    """Values in the source's dtype: whole numbers rounded and clipped, floats cast."""
    kind = np.dtype(dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        if kind.kind == "f":
            return values.astype(kind)
        if kind.kind == "b":
            return values >= 0.5
        limits = np.iinfo(kind)
        return np.clip(
            np.rint(values),
            float(limits.min),
            np.nextafter(float(limits.max) + 1, 0) if kind.itemsize == 8 else limits.max,
        ).astype(kind)


def bit_patterns(rows: NDArray[Any]) -> NDArray[np.int64]:
    """The bits of each value as a whole number that grows with it."""
    if rows.dtype.kind != "f":
        return rows.view(np.int64) if rows.dtype == np.uint64 else rows.astype(np.int64)
    bits = np.ascontiguousarray(rows).view(f"i{rows.dtype.itemsize}")
    return np.where(bits < 0, bits ^ np.iinfo(bits.dtype).max, bits).astype(np.int64)


def from_bit_patterns(codes: NDArray[np.int64], dtype: str) -> NDArray[Any]:
    """The values whose `bit_patterns` these are."""
    kind = np.dtype(dtype)
    if kind.kind != "f":
        return (
            np.ascontiguousarray(codes).view(np.uint64) if kind == np.uint64 else codes.astype(kind)
        )
    bits = codes.astype(f"i{kind.itemsize}")
    return np.where(bits < 0, bits ^ np.iinfo(bits.dtype).max, bits).view(kind)


def exact_divisor(column: NDArray[Any]) -> float:
    """The divisor of a grid that holds every finite value of a column (n,) exactly.

    0 where there is none.
    """
    if column.dtype.kind != "f":
        return 1.0 if np.abs(column.astype(np.float64)).max(initial=0) < EXACT else 0.0
    finite = column[np.isfinite(column)]
    for divisor in DIVISORS:
        with np.errstate(over="ignore", invalid="ignore"):
            places = np.rint(finite.astype(np.float64) * divisor)
            if (
                np.abs(places).max(initial=0) < EXACT
                and ((places / divisor).astype(column.dtype) == finite).all()
            ):
                return divisor
    return 0.0


def _fit_column(column: NDArray[Any], tolerance: float, phases: int) -> tuple[float, float, float]:
    """Offset, step and divisor of one column."""
    finite = column[np.isfinite(column)] if column.dtype.kind == "f" else column
    divisor = exact_divisor(finite)
    if not len(finite):
        return 0.0, 1.0, 1.0
    places = np.rint(finite.astype(np.float64) * divisor)
    grain = float(np.gcd.reduce((places - places[0]).astype(np.int64))) or 1.0
    widest = _widest_exact(tolerance, divisor, grain)
    free = (
        2 * tolerance * (1 - MARGIN)
        if column.dtype.kind == "f"
        else 2 * np.floor(tolerance) + 1 - 2 * MARGIN
    )
    if divisor and (tolerance == 0 or widest * grain / divisor >= free):
        return _phase(places, widest * grain, grain, phases), widest * grain, divisor
    if tolerance == 0:
        return 0.0, 1.0, 0.0
    return _phase(finite.astype(np.float64), free, 0.0, phases), float(free), 1.0


def _widest_exact(tolerance: float, divisor: float, grain: float) -> float:
    """How many grains wide a step can be, an odd number, so that no value moves by more than `tolerance`."""
    if not divisor or not np.isfinite(tolerance):
        return 1.0
    slack = 1.0 if divisor == 1 else 1 - 1e-12  # fractions are not exact in binary
    return 2 * float(np.floor(tolerance * slack * divisor / grain)) + 1


def _phase(places: NDArray[np.float64], step: float, grain: float, phases: int) -> float:
    """The offset of a grid with this step that takes the fewest bits.

    Through the most frequent value, unless another is worth it.
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
    """Bits a value that codes (ascending), each with its count, take."""
    starts = np.flatnonzero(np.diff(codes, prepend=np.nan) != 0)
    shares = np.add.reduceat(counts, starts) / counts.sum()
    return float(-(shares * np.log2(shares)).sum())
