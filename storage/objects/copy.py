"""Local files, copied to a bucket."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from storage.errors import BucketError
from storage.objects.paths import ObjectPath
from storage.objects.systems import service_error

PIECE_BYTES = 8 << 20


def copy_files(pairs: Iterable[tuple[Path, ObjectPath]]) -> None:
    """Copy files one after another. Raises BucketError."""
    for file, target in pairs:
        try:
            _copy_file(file, target)
        except OSError as error:
            why = service_error(error)
            raise BucketError(
                f"{target}: could not be written {why or f'({error})'}", passing=bool(why)
            ) from error


def _copy_file(file: Path, target: ObjectPath) -> None:
    """Write an object; the service shows it once it is closed, which raises what went wrong."""
    with file.open("rb") as opened, target.system.open_output_stream(target.key) as stream:
        while piece := opened.read(PIECE_BYTES):
            stream.write(piece)
