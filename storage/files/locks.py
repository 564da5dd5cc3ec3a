"""File locks: one process at a time works on a result. The kernel frees the lock of a dead one."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from storage.errors import LockedError, WorkspaceError
from storage.files.atomic import refusals

log = logging.getLogger(__name__)
POLL_SECONDS = 0.2
CHANGE_SECONDS = 60.0  # to wait for another process that changes a shared file
WARN_SECONDS = 2.0  # of waiting, before the log mentions it
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL})


@contextmanager
def lock(path: Path, *, wait: float = POLL_SECONDS) -> Iterator[None]:
    """Hold the lock at `path`; wait up to `wait` seconds for it.

    Even the default outlasts `is_locked` in another process.
    Raises LockedError that names the process holding it, WorkspaceError if the file system
    refuses or has no locks.
    """
    with refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    with file:
        _wait_for(file, path, wait)
        with refusals(path):
            file.truncate(0)
            file.write(f"{os.getpid()} on {socket.gethostname()}")
            file.flush()
        yield


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock at `path`. Writes nothing."""
    try:
        with path.open("rb") as file:
            return not _acquired(file.fileno(), path, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def _wait_for(file: TextIO, path: Path, wait: float) -> None:
    began, warned = time.monotonic(), False
    while not _acquired(file.fileno(), path, fcntl.LOCK_EX):
        file.seek(0)
        name = path.stem.removeprefix(".")
        holder = f"{name}: process {file.read().strip() or 'unknown'} is at work on it"
        waited = time.monotonic() - began
        if waited >= wait:
            raise LockedError(f"{holder}; wait for it to end, then rerun to resume")
        if not warned and waited >= WARN_SECONDS:
            warned = True
            log.warning("%s; waiting for it to end", holder)
        time.sleep(POLL_SECONDS)


def _acquired(descriptor: int, path: Path, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise _no_lock(path, error) from error
    return True


def _no_lock(path: Path, error: OSError) -> WorkspaceError:
    if error.errno not in NO_LOCKS:
        return WorkspaceError(f"{path}: could not be locked ({error}); check the disk, then rerun")
    return WorkspaceError(
        f"{path.parent}: the file system has no file locks ({error}), so two runs could mix their "
        "results; mount it with flock support, or set 'workspace' to a folder on another one"
    )
