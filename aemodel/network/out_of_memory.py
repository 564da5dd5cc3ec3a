"""Going on in smaller pieces where a device's memory does not suffice."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

log = logging.getLogger(__name__)
T = TypeVar("T")


def halving(work: Callable[[int], T], rows: int) -> T:
    """What `work(pieces)` returns, with one piece, or as many halvings of a batch of `rows` as the device's memory asks for.

    Raises torch.OutOfMemoryError where not even a single row fits.
    """
    pieces = 1
    while True:
        try:
            return work(pieces)
        except torch.OutOfMemoryError:
            if pieces >= rows:
                raise
        pieces *= 2
        log.warning(
            "the device has no memory for a batch of %d rows; going on with %d at a time",
            rows,
            -(-rows // pieces),
        )
        torch.cuda.empty_cache()
