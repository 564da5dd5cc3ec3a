"""Byte sizes and durations as people write them."""

from __future__ import annotations

import re
from datetime import timedelta

BYTE_UNITS = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
}
SHOWN_UNITS = ("B", "kB", "MB", "GB", "TB")
DURATION_UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}


def parse_bytes(text: str) -> int:
    """Parse a size such as '256 MB' (10^6) or '1 GiB' (2^30) into bytes. Raises ValueError.

    >>> parse_bytes("256 MB")
    256000000
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", text)
    if not match or match[2].upper() not in BYTE_UNITS:
        raise ValueError(f"a size must look like '256 MB' or '1 GiB'. Got '{text}' instead.")
    return int(float(match[1]) * BYTE_UNITS[match[2].upper()])


def format_bytes(count: int) -> str:
    """Format a number of bytes with three significant digits and a decimal unit.

    >>> format_bytes(256_000_000)
    '256 MB'
    """
    value = float(count)
    for unit in SHOWN_UNITS[:-1]:
        if value < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} {SHOWN_UNITS[-1]}"


def parse_duration(text: str) -> timedelta:
    """Parse a duration such as '30 s', '10 min', '2 h' or '1 d'. Raises ValueError.

    >>> parse_duration("10 min")
    datetime.timedelta(seconds=600)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h|d)\s*", text)
    if not match:
        raise ValueError(
            f"a duration must look like '10 min', '30 s', '2 h' or '1 d'. Got '{text}' instead."
        )
    return timedelta(**{DURATION_UNITS[match[2]]: float(match[1])})
