"""One process at a time on one result.

A lock on a file, which the kernel frees when a process dies.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.errors import LockedError
from storage.files.atomic import refusals

log = logging.getLogger(__name__)
PAUSE = 0.2  # seconds between two looks
TELL = 2.0  # seconds of waiting after which it is said


@contextmanager
def lock(path: Path, *, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock at `path`, waiting up to `wait` seconds for it.

    Raises LockedError that names the process holding it.
    """
    with refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    with file:
        began, told = time.monotonic(), False
        while not _taken(file.fileno()):
            file.seek(0)
            words = f"{path.stem}: process {file.read().strip() or 'unknown'} is at work on it"
            if time.monotonic() >= began + wait:
                raise LockedError(f"{words}; wait for it to end, then run the same command again")
            if not told and time.monotonic() >= began + TELL:
                told = True
                log.warning("%s; waiting for it to end", words)
            time.sleep(PAUSE)
        with refusals(path):
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        yield


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
