"""Files that appear whole or not at all: write beside, fsync, replace."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from storage.errors import WorkspaceError
from storage.files.reads import read_refusals

ADVICE = {errno.ENAMETOOLONG: "use a shorter name"}
OTHERWISE = "free disk space or fix permissions"


@contextmanager
def write_beside(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`; on success, the file written there replaces `path`.

    Raises WorkspaceError if the file system refuses; an existing file then stays unchanged.
    """
    # Random, since processes in two containers may have one id; short, whatever the file's name.
    beside = path.with_name(f".{secrets.token_hex(8)}.tmp")
    with refusals(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _require_possible(path)
            yield beside
            sync_file(beside)
            beside.replace(path)
            sync_folder(path.parent)
        finally:
            beside.unlink(missing_ok=True)


def _require_possible(path: Path) -> None:
    """Raise OSError if the file system allows no such name, before the file is written."""
    with suppress(FileNotFoundError):
        path.lstat()


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turn an OSError while writing `path` into a WorkspaceError that says what to do."""
    try:
        yield
    except OSError as error:
        advice = ADVICE.get(error.errno or 0, OTHERWISE)
        raise WorkspaceError(
            f"{path}: could not be written ({error}); {advice}, then rerun to resume"
        ) from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with write_beside(path) as beside:
        beside.write_bytes(content)


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Write `value` as indented JSON. Raises ValueError for NaN and infinity."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Mapping[str, object]) -> bytes:
    """Return the JSON written to disk: keys in the given order, two spaces, a final newline."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def publish_folder(work: Path, final: Path) -> None:
    """Sync every file in `work`, then rename the folder to `final`, which must not exist.

    If `final` is on another disk, the folder is first copied there.
    """
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        if device_of(work) != device_of(final.parent):
            work = _copy_beside(work, final)
        _sync_tree(work)
        work.rename(final)
        sync_folder(final.parent)
    except OSError as error:
        raise WorkspaceError(
            f"{final}: could not be published ({error}); "
            f"the finished work is kept in {work}; rerun to resume"
        ) from error


def device_of(path: Path) -> int:
    """Return the number of the disk that holds a path."""
    return path.stat().st_dev


def _copy_beside(work: Path, final: Path) -> Path:
    """Copy `work` to a hidden folder next to `final`, replacing what a killed run left there.

    Every work folder has its own copy, so that two runs with one `final` do not mix theirs.
    """
    stat = work.stat()
    identity = f"{work.absolute()} {stat.st_dev} {stat.st_ino}"
    beside = final.with_name(f".{hashlib.sha256(identity.encode()).hexdigest()[:16]}.copy")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        shutil.copytree(work, beside)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise OSError(f"not copied to {beside}: {_first_cause(error)}") from error
    return beside


def _first_cause(error: OSError) -> object:
    """Return the first failure; shutil.Error carries a list of (source, target, reason)."""
    return error.args[0][0][-1] if isinstance(error, shutil.Error) else error


def _sync_tree(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            sync_folder(path)
        else:
            sync_file(path)
    sync_folder(folder)


def sync_file(path: Path) -> None:
    """Flush a file to disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Flush the entries of a folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hex. Raises ReadError."""
    with read_refusals(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
