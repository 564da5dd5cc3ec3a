"""manifest.json: what a folder holds, with the SHA-256 of every file in it and, last, of itself.

    {"kind": "scores", "format_version": 1, … facts …,
     "files": {"part-00000.parquet": "9f86d0…", …},
     "manifest_sha256": "…"}        # of all bytes of manifest.json before this field

run.json (host, times, device) is left out, so that two runs over the same input give the same
bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.errors import DamagedError, FormatVersionError, NoDataError
from storage.files.atomic import json_bytes, sha256_file, write_bytes

NAME = "manifest.json"
UNLISTED = frozenset({NAME, "run.json"})
NEWEST = {"latents": 2}  # format_version by kind; 1 where none is given
_TAIL = b'  "manifest_sha256": "'


@dataclass(frozen=True)
class Problem:
    """One file that is not as the manifest says.

    Its path inside the folder, and what is wrong with it.
    """

    file: str
    what: str


def write_manifest(
    folder: Path, kind: str, facts: Mapping[str, Any], *, format_version: int = 1
) -> dict[str, Any]:
    """Digest every file below `folder` and write its manifest.json.

    Return the manifest without its own digest.
    """
    body = {"kind": kind, "format_version": format_version, **facts, "files": digest_files(folder)}
    write_bytes(folder / NAME, sealed_bytes(body))
    return body


def digest_files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below `folder`, by its path inside it.

    Manifest.json and run.json are left out.
    """
    return {name: sha256_file(folder / name) for name in list_files(folder)}


def list_files(folder: Path) -> list[str]:
    """Paths of all files below `folder` that a manifest lists, sorted.

    Temporary ones start with a dot.
    """
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return sorted(
        name for path in found if (name := path.relative_to(folder).as_posix()) not in UNLISTED
    )


def sealed_bytes(body: Mapping[str, Any]) -> bytes:
    """The bytes of a manifest: the body, then the digest of everything before it."""
    head = json_bytes(body).removesuffix(b"\n}\n") + b",\n"
    return head + _TAIL + hashlib.sha256(head).hexdigest().encode() + b'"\n}\n'


def read_manifest(folder: Path, kind: str = "") -> dict[str, Any]:
    """Read and check a folder's manifest.

    Raises NoDataError where there is none, DamagedError where its own digest or its kind does not
    fit, FormatVersionError where its format_version is above the newest that is known of its kind.
    """
    path = folder / NAME
    if not path.is_file():
        raise NoDataError(f"{path}: not found; expected a folder with a manifest.json")
    return parse_manifest(path.read_bytes(), path, kind)


def parse_manifest(content: bytes, path: Path, kind: str = "") -> dict[str, Any]:
    """The manifest in `content`, which came from `path`; raises as `read_manifest` does."""
    head, mark, _ = content.rpartition(_TAIL)
    if not mark or content != head + _TAIL + hashlib.sha256(head).hexdigest().encode() + b'"\n}\n':
        raise DamagedError(
            f"{path}: does not match its own checksum; restore it from a copy, or delete the folder and make it again"
        )
    body: dict[str, Any] = json.loads(content)
    if kind and body["kind"] != kind:
        raise DamagedError(f"{path}: expected a manifest of kind '{kind}', got '{body['kind']}'")
    check_format_version(path, body["format_version"], NEWEST.get(body["kind"], 1))
    return body


def check_format_version(path: Path | str, found: int, newest: int) -> None:
    """Raise FormatVersionError where `found` is above `newest`."""
    if found > newest:
        raise FormatVersionError(
            f"{path}: format_version {found} is newer than {newest}, the newest that this nightglass reads; upgrade nightglass"
        )


def verify_folder(folder: Path) -> list[Problem]:
    """Check every file of a folder against its manifest.

    The empty list means that all is as it was written.
    """
    try:
        listed: Mapping[str, str] = read_manifest(folder)["files"]
    except DamagedError as error:
        return [Problem(NAME, str(error))]
    present: Sequence[str] = list_files(folder)
    missing = [Problem(name, "is missing") for name in listed if name not in present]
    strangers = [Problem(name, "is not in the manifest") for name in present if name not in listed]
    changed = [
        Problem(name, "does not match its checksum")
        for name in present
        if name in listed and sha256_file(folder / name) != listed[name]
    ]
    return missing + changed + strangers


def require_whole(folder: Path) -> None:
    """Raise DamagedError naming the first file of `folder` that is not as it was written."""
    if problems := verify_folder(folder):
        raise DamagedError(
            f"{folder / problems[0].file}: {problems[0].what}; restore it from a copy, or delete the folder and make it again"
        )
