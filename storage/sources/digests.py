"""Digests of rows, and of files' metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from storage.files.reads import read_refusals
from storage.objects.at_once import for_each
from storage.objects.paths import ObjectPath


class RowsDigest:
    """BLAKE3 of rows and ids, independent of how they are cut into chunks.

    Every byte that is scored passes through it: SHA-256, also where a processor has instructions
    for it, takes three to five times as long.
    """

    def __init__(self) -> None:
        self._rows = blake3()
        self._ids = blake3()
        self._header = ""

    def update(self, rows: NDArray[np.generic], ids: NDArray[np.generic] | None = None) -> None:
        """Add rows (n, *row_shape) and, if the source has them, their ids (n,)."""
        self._header = f"{rows.dtype.name} {rows.shape[1:]}"
        self._rows.update(_little_bytes(rows))
        if ids is not None:
            whole = ids.dtype.kind == "i"
            self._ids.update(_little_bytes(ids) if whole else _ended_texts(ids))

    def hexdigest(self) -> str:
        """Return the digest of all rows added so far."""
        return sha256_text(f"{self._header} {self._rows.hexdigest()} {self._ids.hexdigest()}")


def _little_bytes(values: NDArray[np.generic]) -> memoryview:
    """Return the bytes of values in little-endian order; a view where they lie so."""
    little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    return little.reshape(-1).view(np.uint8).data


def _ended_texts(texts: NDArray[np.generic]) -> bytes:
    """Return texts (n,), a zero byte after each."""
    return "\0".join([*texts.tolist(), ""]).encode()


def combine_digests(digests: Sequence[str]) -> str:
    """Combine the digests of consecutive shards into one."""
    return sha256_text("\n".join(digests))


def files_digest(files: Sequence[Path]) -> str:
    """Digest the names, sizes and modification times of files without opening them.

    Raises ReadError if a file no longer exists.
    """
    return sha256_text("\n".join(file_stamps(files)))


def file_stamps(files: Sequence[Path]) -> list[str]:
    """Return name, partitions, size and modification time of each file. Raises ReadError."""
    return for_each(_stamp, files)


def sha256_text(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _stamp(file: Path) -> str:
    names = "/".join([*(part for part in file.parent.parts if "=" in part), file.name])
    with read_refusals(file):
        if isinstance(file, ObjectPath):
            return f"{names} {file.stamp()}"
        stat = file.stat()
        return f"{names} {stat.st_size} {stat.st_mtime_ns}"
