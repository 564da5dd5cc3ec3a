"""File locks: one process at a time works on a result. The kernel frees the lock of a dead one."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from storage.errors import LockedError
from storage.files.atomic import refusals

log = logging.getLogger(__name__)
POLL_SECONDS = 0.2
WARN_SECONDS = 2.0  # of waiting, before the log mentions it


@contextmanager
def lock(path: Path, *, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock at `path`; wait up to `wait` seconds for it.

    Raises LockedError that names the process holding it.
    """
    with refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    with file:
        _wait_for(file, path, wait)
        with refusals(path):
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        yield


def _wait_for(file: TextIO, path: Path, wait: float) -> None:
    began, warned = time.monotonic(), False
    while not _acquired(file.fileno()):
        file.seek(0)
        holder = f"{path.stem}: process {file.read().strip() or 'unknown'} is at work on it"
        waited = time.monotonic() - began
        if waited >= wait:
            raise LockedError(f"{holder}; wait for it to end, then rerun to resume")
        if not warned and waited >= WARN_SECONDS:
            warned = True
            log.warning("%s; waiting for it to end", holder)
        time.sleep(POLL_SECONDS)


def _acquired(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
