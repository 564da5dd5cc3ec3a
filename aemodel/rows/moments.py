"""Moments of each column: count, mean, sum of squared deviations, minimum and maximum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TINIEST = 1e-150  # below, squares lose digits


@dataclass(frozen=True)
class Moments:
    """Moments of the known values of each column, (d,) float64 each.

    m2: sum of squared deviations from the mean. low, high: inf and -inf for an empty column.
    """

    count: NDArray[np.float64]
    mean: NDArray[np.float64]
    m2: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def empty(cls, n_features: int) -> Moments:
        """Moments of no rows."""
        zeros = np.zeros(n_features)
        return cls(zeros, zeros, zeros, zeros + np.inf, zeros - np.inf)

    @classmethod
    def of(cls, rows: NDArray[np.generic]) -> Moments:
        """Compute the moments of flat rows (n, d), n >= 1, ignoring NaN."""
        values = rows.astype(np.float64)
        if rows.dtype.kind == "f":
            return cls._of_gappy(values)
        mean = values.mean(axis=0)  # without gaps, this is several times faster
        m2 = ((values - mean) ** 2).sum(axis=0)
        low, high = (extreme.astype(np.float64) for extreme in (rows.min(axis=0), rows.max(axis=0)))
        return cls(np.full(len(mean), float(len(values))), mean, m2, low, high)

    @classmethod
    def _of_gappy(cls, values: NDArray[np.float64]) -> Moments:
        gaps = np.isnan(values)
        count = (len(values) - gaps.sum(axis=0)).astype(np.float64)
        low = np.where(gaps, np.inf, values).min(axis=0)
        high = np.where(gaps, -np.inf, values).max(axis=0)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.where(gaps, 0.0, values).sum(axis=0) / np.maximum(count, 1)
            m2 = (np.where(gaps, 0.0, values - mean) ** 2).sum(axis=0)
        return cls(count, mean, m2, low, high)

    def merge(self, other: Moments) -> Moments:
        """Combine the moments of both (Chan, Golub & LeVeque 1979)."""
        total = self.count + other.count
        share = np.divide(other.count, total, out=np.zeros_like(total), where=total > 0)
        with np.errstate(over="ignore", invalid="ignore"):
            step = other.mean - self.mean
            m2 = self.m2 + other.m2 + step**2 * self.count * share
            mean = self.mean + step * share
        low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        return Moments(total, mean, m2, low, high)

    def deviation(self) -> NDArray[np.float64]:
        """Return standard deviations (d,), rounded so that they do not depend on the chunks.

        Half the range of a column whose squares float64 cannot hold, such as 1e-200 or 1e200.
        """
        with np.errstate(invalid="ignore"):
            half = self.high / 2 - self.low / 2
            spread = np.sqrt(self.m2 / np.maximum(self.count, 1))
        usable = (spread > TINIEST) & np.isfinite(spread)
        spread = np.where(usable | ~(half > 0), spread, half)
        return round_digits(np.where(np.isfinite(spread), spread, 0.0))


def round_digits(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round to the digits of float32, at any size."""
    digits, exponent = np.frexp(values)
    return np.asarray(np.ldexp(digits.astype(np.float32).astype(np.float64), exponent))
