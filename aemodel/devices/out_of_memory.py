"""Retry in smaller pieces when a device runs out of memory."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

log = logging.getLogger(__name__)
T = TypeVar("T")


def halving(work: Callable[[int], T], rows: int) -> T:
    """Return `work(pieces)`, doubling `pieces` from 1 until a batch of `rows` fits into memory.

    Raises torch.OutOfMemoryError if not even a single row fits.
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
            "out of device memory for a batch of %d rows; continuing with %d at a time",
            rows,
            -(-rows // pieces),
        )
        torch.cuda.empty_cache()
