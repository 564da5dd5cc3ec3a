"""Two numbers as text, with as many digits as it takes to tell them apart."""

from __future__ import annotations

import math

FEWEST = 4  # significant digits
SMALLEST_PLAIN, LARGEST_PLAIN = 1e-4, 1e9  # are written without an exponent
SEPARATED = 10_000  # years are not
MOST = 17  # tell any two float64 values apart


def format_pair(actual: float, expected: float) -> tuple[str, str]:
    """Format two numbers so that their difference shows to about two digits.

    >>> format_pair(1766456000.0, 1763000000.0)
    ('1.7665e+09', '1.763e+09')
    >>> format_pair(59601.0, 65380.2)
    ('59,601', '65,380')
    >>> format_pair(2.0, 0.123456)
    ('2', '0.1235')
    """
    digits = _digits(actual, expected)
    return format_value(actual, digits), format_value(expected, digits)


def format_beyond(value: float, low: float, high: float) -> tuple[str, str, str]:
    """Format a number outside of a range, and its ends, so that it does not look like an end.

    >>> format_beyond(1400.0, 3.084, 1234.0), format_beyond(500.1, 200.0, 500.0)
    (('1400', '3.084', '1234'), ('500.1', '200', '500'))
    """
    digits = _digits(value, low if value < low else high)
    return format_value(value, digits), format_value(low, digits), format_value(high, digits)


def format_value(value: float, digits: int = FEWEST) -> str:
    """Format one number to about `digits` digits; of 10,000 and more, with separators.

    >>> format_value(1934.0), format_value(91204.4), format_value(0.012345), format_value(3e12)
    ('1934', '91,204', '0.01235', '3e+12')
    """
    if value and not SMALLEST_PLAIN <= abs(value) < LARGEST_PLAIN:
        return f"{value:.{digits}g}"
    decimals = digits - 1 - (math.floor(math.log10(abs(value))) if value else 0)
    rounded = round(value, max(0, decimals)) + 0.0  # + 0.0: no minus zero
    separator = "," if abs(rounded) >= SEPARATED else ""
    text = f"{rounded:{separator}.{max(0, decimals)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _digits(actual: float, expected: float) -> int:
    difference = abs(actual - expected)
    if not (0 < difference < math.inf):
        return FEWEST
    largest = max(abs(actual), abs(expected))
    needed = math.floor(math.log10(largest)) - math.floor(math.log10(difference)) + 2
    return min(max(FEWEST, needed), MOST)
