"""Imports of torch and all that a pipeline needs, which take most of the start of a command."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def slow_imports() -> Iterator[None]:
    """Pause garbage collection, which takes a quarter of the time of imports and frees nothing.

    What was imported is not examined again later.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
