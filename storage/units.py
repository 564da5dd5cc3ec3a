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


def parse_bytes(text: str) -> int:
    """Bytes in a text such as '256 MB' (10^6) or '1 GiB' (2^30). Raises ValueError.

    >>> parse_bytes("256 MB")
    256000000
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", text)
    if not match or match[2].upper() not in BYTE_UNITS:
        raise ValueError(f"a size must look like '256 MB' or '1 GiB'. Got '{text}' instead.")
    return int(float(match[1]) * BYTE_UNITS[match[2].upper()])


def format_bytes(count: int) -> str:
    """A size for a person: three digits and a unit.

    >>> format_bytes(256_000_000)
    '256 MB'
    """
    value, units = float(count), iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while value >= 999.5 and unit != "TB":
        value, unit = value / 1000, next(units)
    return f"{value:.3g} {unit}"


DURATION_UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}


def parse_duration(text: str) -> timedelta:
    """A length of time from a text such as '10 min', '30 s', '2 h' or '1 d'. Raises ValueError.

    >>> parse_duration("10 min")
    datetime.timedelta(seconds=600)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h|d)\s*", text)
    if not match:
        raise ValueError(
            f"a length of time must look like '10 min', '30 s', '2 h' or '1 d'. Got '{text}' instead."
        )
    return timedelta(**{DURATION_UNITS[match[2]]: float(match[1])})
