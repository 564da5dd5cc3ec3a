"""Two numbers as text, with as many digits as it takes to tell them apart."""

from __future__ import annotations

import math

FEWEST = 4  # significant digits
MOST = 17  # tell any two float64 values apart


def format_pair(actual: float, expected: float) -> tuple[str, str]:
    """Format two numbers so that their difference shows to about two digits.

    >>> format_pair(1766456000.0, 1763000000.0)
    ('1.7665e+09', '1.763e+09')
    >>> format_pair(2.0, 0.123456)
    ('2', '0.1235')
    """
    digits = _digits(actual, expected)
    return f"{actual + 0.0:.{digits}g}", f"{expected + 0.0:.{digits}g}"  # + 0.0: no minus zero


def _digits(actual: float, expected: float) -> int:
    difference = abs(actual - expected)
    if not (0 < difference < math.inf):
        return FEWEST
    largest = max(abs(actual), abs(expected))
    needed = math.floor(math.log10(largest)) - math.floor(math.log10(difference)) + 2
    return min(max(FEWEST, needed), MOST)
