"""Reads that the operating system refuses, which a retry may cure, apart from damaged content."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.errors import ReadError, SourceError
from storage.objects.systems import service_error

ADVICE = {
    errno.EAGAIN: "another program is writing to it; rerun once it is closed there",
    errno.EACCES: "fix its permissions, then rerun",
    errno.EPERM: "fix its permissions, then rerun",
    errno.ENOENT: "restore it, then rerun",
    errno.ENAMETOOLONG: "use a shorter name",
}
OTHERWISE = "check its disk or network, then rerun"


@contextmanager
def read_refusals(path: Path) -> Iterator[None]:
    """Turn an OSError while reading `path` into a ReadError that says what to do."""
    try:
        yield
    except OSError as error:
        raise read_error(path, error) from error


def read_error(path: Path, error: Exception) -> ReadError:
    """Return the ReadError for what the operating system said."""
    if said := service_error(error):
        return ReadError(f"{path}: cannot be read {said}")
    number = refusal(error)
    why = os.strerror(number) if number else str(error)
    return ReadError(f"{path}: cannot be read ({why}); {ADVICE.get(number, OTHERWISE)}")


def refusal(error: Exception) -> int:
    """Return the errno if a system refused, EIO if a service; 0 if content is damaged.

    h5py names the errno of a failed read in the text alone.
    """
    if isinstance(error, OSError) and error.errno:
        return error.errno
    if service_error(error):
        return errno.EIO
    named = re.search(r"\berrno = (\d+)", str(error))
    return int(named[1]) if named else 0


def unreadable(path: Path, error: Exception, damage: str) -> SourceError:
    """Return a ReadError if the operating system refused, else a SourceError about the damage."""
    return read_error(path, error) if refusal(error) else SourceError(f"{path}{damage}")


def raise_refused(path: Path, error: Exception) -> None:
    """Raise a ReadError if the operating system refused to read a file that exists."""
    if refusal(error) not in (0, errno.ENOENT):
        raise read_error(path, error) from error
