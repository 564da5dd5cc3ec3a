"""manifest.json: what a folder holds, with the SHA-256 of every file and, last, its own.

    {"kind": "scores", "format_version": 1, … facts …,
     "files": {"part-00000.parquet": "9f86d0…", …},
     "manifest_sha256": "…"}        # of all bytes of manifest.json before this field

run.json (host, times, device) is not listed, so two runs over the same input give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.errors import DamagedError, FormatVersionError, NoDataError
from storage.files.atomic import json_bytes, sha256_file, write_bytes
from storage.files.reads import read_refusals
from storage.objects.paths import ObjectPath

NAME = "manifest.json"
UNLISTED = frozenset({NAME, "run.json"})
FORMAT_VERSIONS = {"latents": 2}  # by kind; 1 for all others
Json = dict[str, Any]  # a parsed JSON object; its digest was checked
_TAIL = b'  "manifest_sha256": "'


@dataclass(frozen=True)
class Problem:
    """A file that does not match the manifest: its path inside the folder, and what is wrong."""

    file: str
    what: str


def write_manifest(
    folder: Path, kind: str, facts: Mapping[str, object], *, format_version: int = 1
) -> Json:
    """Write manifest.json with the digests of all files in `folder`.

    Returns the manifest without its own digest.
    """
    body = {"kind": kind, "format_version": format_version, **facts, "files": digest_files(folder)}
    write_bytes(folder / NAME, sealed_bytes(body))
    return body


def digest_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file that a manifest lists, by its path inside `folder`."""
    return {name: sha256_file(folder / name) for name in list_files(folder)}


def list_files(folder: Path) -> list[str]:
    """Return the sorted paths, inside `folder`, of all files that a manifest lists.

    UNLISTED and temporary files, which start with a dot, are not listed.
    """
    with read_refusals(folder):
        names = files_below(folder)
    return sorted({name for name in names if Path(name).name[0] != "."} - UNLISTED)


def files_below(folder: Path) -> dict[str, int]:
    """Return the bytes of every file below a folder or prefix, by its path below it.

    Raises OSError.
    """
    if isinstance(folder, ObjectPath):
        return folder.sizes()
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.lstat().st_size for path in files}


def sealed_bytes(body: Mapping[str, object]) -> bytes:
    """Return the bytes of a manifest: the body, then the digest of everything before it."""
    head = json_bytes(body).removesuffix(b"\n}\n") + b",\n"
    return head + _seal(head)


def _seal(head: bytes) -> bytes:
    return _TAIL + hashlib.sha256(head).hexdigest().encode() + b'"\n}\n'


def read_manifest(folder: Path, kind: str = "") -> Json:
    """Read and check the manifest of a folder.

    Raises NoDataError if there is none, DamagedError if its digest or kind does not match,
    FormatVersionError for any format_version but the current one of its kind.
    """
    path = folder / NAME
    with read_refusals(path):
        if not path.is_file():
            raise NoDataError(f"{path}: not found; expected a folder with a manifest.json")
        content = path.read_bytes()
    return parse_manifest(content, path, kind)


def parse_manifest(content: bytes, path: Path, kind: str = "") -> Json:
    """Parse the manifest in `content`, read from `path`; raises like `read_manifest`."""
    head, mark, _ = content.rpartition(_TAIL)
    if not mark or content != head + _seal(head):
        raise DamagedError(
            f"{path}: does not match its own checksum; "
            "restore it from a copy, or delete the folder and make it again"
        )
    body: Json = json.loads(content)
    if kind and body["kind"] != kind:
        raise DamagedError(f"{path}: expected a manifest of kind '{kind}', got '{body['kind']}'")
    check_format_version(path, body["format_version"], FORMAT_VERSIONS.get(body["kind"], 1))
    return body


def check_format_version(path: Path, found: int, current: int) -> None:
    """Raise FormatVersionError unless `found` is the `current` version."""
    if found > current:
        raise FormatVersionError(
            f"{path}: format_version {found} is newer than {current}, "
            "the newest that this version reads; upgrade nightglass"
        )
    if found < current:
        raise FormatVersionError(
            f"{path}: format_version {found} is older than {current}, "
            "the oldest that this version reads; create it again"
        )


def verify_folder(folder: Path) -> list[Problem]:
    """Check every file of a folder against its manifest; an empty list means no problems."""
    try:
        listed: dict[str, str] = read_manifest(folder)["files"]
    except DamagedError as error:
        return [Problem(NAME, str(error))]
    present = list_files(folder)
    missing = [Problem(name, "is missing") for name in listed if name not in present]
    unlisted = [Problem(name, "is not in the manifest") for name in present if name not in listed]
    changed = [
        Problem(name, "does not match its checksum")
        for name in present
        if name in listed and sha256_file(folder / name) != listed[name]
    ]
    return missing + changed + unlisted


def require_whole(folder: Path) -> None:
    """Raise DamagedError that names the first file of `folder` that does not match."""
    if problems := verify_folder(folder):
        raise DamagedError(
            f"{folder / problems[0].file}: {problems[0].what}; "
            "restore it from a copy, or delete the folder and make it again"
        )
