"""Values in clean rows that are probably no measurements: row numbers, days, codes for gaps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST_ROWS = 10  # fewer ascend by chance
FEWEST_TIMES = 3  # a value that is no known code must occur so often
FEWEST_OTHERS = 10  # distinct values beside it
MOST_CODES = 4  # in one column
FAR = 5.0  # distance from the middle 90 % of the other values, in widths of that range
# 999, -9999, 999.9, -999.25
NINES = r"-?9{2,}(\.(9+|25))?"
TYPE_LIMITS = (-(2**15), 2**15 - 1, 2**16 - 1, -(2**31), 2**31 - 1, 2**32 - 1)
FIRST_DAY, LAST_DAY = 1900_01_01, 2100_12_31  # as numbers
FIRST_SECOND, LAST_SECOND = 630_720_000, 4_133_980_799  # 1989-12-27 to 2100-12-31
UNITS = {"seconds": 1, "milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
OF_TIMES = re.compile(
    r"(^|[^a-z])(date|time|datetime|timestamp|stamp|epoch|created|updated|ts|at)([^a-z]|$)",
    re.IGNORECASE,
)
HUGE = 1e15  # 1e20, 9.96921e+36, 1.8e308


@dataclass(frozen=True)
class Sentinel:
    """A value that looks like a code for a gap; column None: in any column."""

    column: int | None
    value: float
    count: int


def ascending_columns(rows: NDArray[np.generic]) -> NDArray[np.intp]:
    """Return which columns of rows (n, d) are distinct and ascending; none in a few rows."""
    if len(rows) < FEWEST_ROWS:
        return np.empty(0, np.intp)
    return np.flatnonzero(np.greater(rows[1:], rows[:-1]).all(axis=0))


def columns_of_days(values: NDArray[np.float64]) -> Iterator[int]:
    """Yield which columns of values (n, d) are days written as numbers, such as 20260131."""
    for index, column in enumerate(values.T):
        known = column[np.isfinite(column)]
        if not ((known >= FIRST_DAY) & (known <= LAST_DAY)).all():
            continue
        days = np.unique(known)
        if len(days) >= FEWEST_ROWS and not (days % 1).any() and _are_days(days.astype(np.int64)):
            yield index


def unit_since_1970(name: str, values: NDArray[np.float64]) -> str:
    """Return the unit in which a column (n,) may count time since 1970; '' if it hardly does."""
    if not OF_TIMES.search(name):
        return ""
    known = values[np.isfinite(values)]
    low, high = known.min(initial=np.inf), known.max(initial=-np.inf)
    for unit, per_second in UNITS.items():
        if FIRST_SECOND * per_second <= low < high <= LAST_SECOND * per_second:
            return unit
    return ""


def _are_days(numbers: NDArray[np.int64]) -> bool:
    years, months, days = numbers // 10_000, numbers // 100 % 100, numbers % 100
    if not ((months >= 1) & (months <= 12) & (days >= 1)).all():
        return False
    first = (12 * (years - 1970) + months - 1).astype("datetime64[M]")
    lengths = ((first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")).astype(np.int64)
    return bool((days <= lengths).all())


def find_sentinels(values: NDArray[np.float64]) -> Iterator[Sentinel]:
    """Yield the values of each column (n, d) that stand apart like codes for gaps."""
    for index in range(values.shape[1]):
        column = values[:, index]
        column = column[np.isfinite(column)]
        for value, count in _codes_of(column):
            yield Sentinel(index, value, count)


def _codes_of(column: NDArray[np.float64]) -> Iterator[tuple[float, int]]:
    """Yield codes at either end of finite values (n,), with their counts, outermost first."""
    for _ in range(MOST_CODES):
        code = _outermost_code(column)
        if code is None:
            return
        yield code, int((column == code).sum())
        column = column[column != code]


def _outermost_code(column: NDArray[np.float64]) -> float | None:
    if not len(column):
        return None
    ends = (float(column.min()), float(column.max()))
    return next((end for end in ends if _is_code(end, column)), None)


def _is_code(end: float, column: NDArray[np.float64]) -> bool:
    known = _is_known(end)
    often = (column == end).sum() >= FEWEST_TIMES
    others = column[column != end]
    if not len(others) or not (known or often):
        return False
    width = _middle_width_if_apart(end, others)
    many = width > 0 and len(np.unique(others)) >= FEWEST_OTHERS
    return width >= 0 and (known or many)


def _is_known(value: float) -> bool:
    is_nines = re.fullmatch(NINES, f"{value:.6g}") is not None
    return value in TYPE_LIMITS or abs(value) >= HUGE or is_nines


def _middle_width_if_apart(end: float, others: NDArray[np.float64]) -> float:
    """The width of the middle 90 % of the other values; -1 if `end` is not far from them all."""
    low, high = np.quantile(others, (0.05, 0.95))
    with np.errstate(over="ignore"):
        width = float(high - low)
        alone = np.abs(others - end).min() > width
        far = max(low - end, end - high) > FAR * width
    return width if alone and far else -1.0
