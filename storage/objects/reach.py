"""Whether a service answers at all, told within seconds: for commands that a person waits for."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from storage.files.reads import read_error
from storage.objects.paths import ObjectPath, located
from storage.objects.systems import gcs_system, s3_system

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

ATTEMPTS = 2
SECONDS = 2.0  # to connect, and to answer
NO_ANSWER = "NETWORK_CONNECTION"  # as Arrow says it; any other error is an answer


def reached(text: Path | str) -> Path:
    """Return `located(text)`. Raises ReadError if it is in a bucket whose service does not answer.

    All later requests are repeated for longer, as in a scheduled run.
    """
    path = located(text)
    if isinstance(path, ObjectPath) and path.scheme in ("s3", "gs"):
        try:
            _impatient(path).get_file_info(path.key)
        except OSError as error:
            if path.scheme == "gs" or NO_ANSWER in str(error):
                raise read_error(path, error) from error
    return path


def _impatient(path: ObjectPath) -> FileSystem:
    if path.scheme == "gs":
        return gcs_system(timedelta(seconds=SECONDS * ATTEMPTS))
    return s3_system(path.parts[1], path.endpoint, attempts=ATTEMPTS, seconds=SECONDS)
