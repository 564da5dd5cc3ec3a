"""One request for each of many objects, several at a time: a service far away takes its time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from storage.objects.paths import ObjectPath

REQUESTS = 16  # at a time
T = TypeVar("T")


def for_each(ask: Callable[[Path], T], paths: Sequence[Path]) -> list[T]:
    """Return what `ask` says of each path, in their order; local ones are asked one by one."""
    if len(paths) < 2 or not isinstance(paths[0], ObjectPath):
        return [*map(ask, paths)]
    with ThreadPoolExecutor(REQUESTS) as pool:
        return [*pool.map(ask, paths)]


def file_sizes(paths: Sequence[Path]) -> list[int]:
    """Return the bytes of each file or object. Raises OSError."""
    return for_each(lambda path: path.stat().st_size, paths)
