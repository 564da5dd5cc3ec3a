"""Lengths of time as people write them."""

from __future__ import annotations

import re
from datetime import timedelta

UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}


def parse_duration(text: str) -> timedelta:
    """A length of time from a text such as '10 min', '30 s', '2 h' or '1 d'. Raises ValueError.

    >>> parse_duration("10 min")
    datetime.timedelta(seconds=600)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h|d)\s*", text)
    if not match:
        raise ValueError(f"a length of time must look like '10 min', '30 s', '2 h' or '1 d'. Got '{text}' instead.")
    return timedelta(**{UNITS[match[2]]: float(match[1])})
