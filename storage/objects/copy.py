"""Local files, copied to a bucket."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from storage.errors import BucketError
from storage.objects.paths import ObjectPath
from storage.objects.systems import service_error


def copy_files(pairs: Iterable[tuple[Path, ObjectPath]]) -> None:
    """Copy files one after another, each whole or not at all. Raises BucketError."""
    for file, target in pairs:
        try:
            _copy_file(file, target)
        except OSError as error:
            why = service_error(error)
            raise BucketError(
                f"{target}: could not be written {why or f'({error})'}", passing=bool(why)
            ) from error


def _copy_file(file: Path, target: ObjectPath) -> None:
    from pyarrow import fs  # late: slow to import

    fs.copy_files(
        str(file),
        target.key,
        source_filesystem=fs.LocalFileSystem(),
        destination_filesystem=target.system,
        use_threads=False,
    )
