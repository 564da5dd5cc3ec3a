"""A checkpoint: one file with the state of unfinished work, of use to the same work alone.

{"format_version": 1, "key": "…", "sha256": "…"}     # one line; the SHA-256 is that of the state
… the state …
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from storage.errors import DamagedError
from storage.files.atomic import write_bytes
from storage.files.reads import read_refusals

FORMAT_VERSION = 1


def write_checkpoint(path: Path, state: bytes, *, key: str) -> None:
    """Replace the checkpoint at `path`. key: names the work that the state belongs to."""
    digest = hashlib.sha256(state).hexdigest()
    header = json.dumps({"format_version": FORMAT_VERSION, "key": key, "sha256": digest})
    write_bytes(path, header.encode() + b"\n" + state)


def read_checkpoint(path: Path, *, key: str) -> bytes | None:
    """Return the state at `path`; None if there is none, or it belongs to other work.

    Raises DamagedError or ReadError.
    """
    if not path.exists():
        return None
    with read_refusals(path):
        header, _, state = path.read_bytes().partition(b"\n")
    try:
        facts = json.loads(header)
        if (facts["format_version"], facts["key"]) != (FORMAT_VERSION, key):
            return None
        whole = facts["sha256"] == hashlib.sha256(state).hexdigest()
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"{path}: not a checkpoint ({error})") from error
    if not whole:
        raise DamagedError(f"{path}: does not match its checksum")
    return state
