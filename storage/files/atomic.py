"""Files that appear whole or not at all: write beside, fsync, replace."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from storage.errors import WorkspaceError

_PIECE = 1 << 20


@contextmanager
def write_beside(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; on success the file written there replaces `path`.

    Raises WorkspaceError when the file system refuses; the old file, if any, then stays as it was.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with refusals(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield beside
            sync_file(beside)
            beside.replace(path)
            sync_folder(path.parent)
        finally:
            beside.unlink(missing_ok=True)


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turn the file system's refusal to write `path` into a WorkspaceError that says how to go on."""
    try:
        yield
    except OSError as error:
        raise WorkspaceError(
            f"{path}: could not be written ({error}); make room or mend the permissions, then run the same command again"
        ) from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with write_beside(path) as beside:
        beside.write_bytes(content)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write `value` as indented JSON; NaN and infinity are refused, since JSON has neither."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """The one JSON form used on disk: keys in the order given, two spaces, a final newline."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def publish_folder(work: Path, final: Path) -> None:
    """Rename the finished folder `work` to `final`, which must not exist, after syncing every file in it; to another disk, by way of a copy."""
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        if device_of(work) != device_of(final.parent):
            work = _copy_beside(work, final)
        for path in sorted(work.rglob("*")):
            sync_folder(path) if path.is_dir() else sync_file(path)
        sync_folder(work)
        work.rename(final)
        sync_folder(final.parent)
    except OSError as error:
        raise WorkspaceError(
            f"{final}: could not be published ({error}); the finished work is kept in {work}, run the same command again"
        ) from error


def device_of(path: Path) -> int:
    """The number of the disk that holds a path."""
    return path.stat().st_dev


def _copy_beside(work: Path, final: Path) -> Path:
    """A copy of `work` on the disk of `final`, hidden until it is renamed.

    What a run that was killed left there is replaced.
    """
    beside = final.with_name(f".{final.name}.copy")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        shutil.copytree(work, beside)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        why = (
            error.args[0][0][-1] if isinstance(error, shutil.Error) else error
        )  # of a list of what failed, the first
        raise OSError(f"not copied to {beside}: {why}") from error
    return beside


def sync_file(path: Path) -> None:
    """Flush one file to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Flush the entries of one folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
