"""Local files, copied to a bucket."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from storage.errors import BucketError
from storage.files.atomic import write_json
from storage.files.manifest import NAME, read_manifest
from storage.files.reads import read_refusals
from storage.objects.paths import ObjectPath
from storage.objects.systems import service_error

PIECE_BYTES = 8 << 20
RUN = "run.json"


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


def copy_store(folder: Path, target: ObjectPath, *, notes: Path) -> None:
    """Copy a folder with a manifest: run.json first, by which it is known, and the manifest last.

    notes: the folder that remembers which files a run that was cut off has copied. Raises
    BucketError.
    """
    copy_files([(folder / RUN, target / RUN)])
    for name, digest in read_manifest(folder)["files"].items():
        note = notes / f"{name}.json"
        if not _is_copied(note, target / name, digest):
            copy_files([(folder / name, target / name)])
            with read_refusals(target / name):
                write_json(note, {"sha256": digest, "stamp": (target / name).stamp()})
    copy_files([(folder / NAME, target / NAME)])


def _is_copied(note: Path, target: ObjectPath, digest: str) -> bool:
    """Whether the object is still the one that was made of the file with this digest."""
    if not note.exists():
        return False
    with read_refusals(target):
        stamp = target.stamp() if target.is_file() else ""
    copied: bool = json.loads(note.read_bytes()) == {"sha256": digest, "stamp": stamp}
    return copied


def _copy_file(file: Path, target: ObjectPath) -> None:
    """Write an object; the service shows it once it is closed, which raises what went wrong."""
    with file.open("rb") as opened, target.system.open_output_stream(target.key) as stream:
        while piece := opened.read(PIECE_BYTES):
            stream.write(piece)
