"""A store packed into one HDF5 file, to send or archive.

Every file of the folder is a dataset of bytes under its path, with a checksum. `decode`, `inspect`
and `verify` read it like the folder. With plain h5py:
`io.BytesIO(file["shard-00000.h5"][:].tobytes())` is the shard.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from storage.errors import DamagedError, ReadError, StorageError
from storage.files.atomic import write_beside
from storage.files.manifest import (
    NAME,
    Json,
    Problem,
    files_below,
    list_files,
    parse_manifest,
    read_manifest,
    require_whole,
)
from storage.files.reads import raise_refused, read_refusals
from storage.latents.hdf5 import writing
from storage.latents.shard import Readable, reading
from storage.objects.paths import ObjectPath, openable

CHUNK = 1 << 20
KIND = "nightglass store"
SIGNATURE = b"\x89HDF\r\n\x1a\n"
# h5py has no error of its own for damaged bytes; odd shapes end in MemoryError, odd types elsewhere
DAMAGE = (
    OSError,
    LookupError,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
)


def pack_store(folder: Path, out: Path) -> int:
    """Check the store in `folder` and write it to the HDF5 file `out`.

    Returns the bytes of the file. Raises DamagedError.
    """
    read_manifest(folder, "latents")
    require_whole(folder)
    with write_beside(out) as beside, writing(beside) as file:
        file.attrs["kind"] = KIND
        for name in [NAME, *list_files(folder)]:
            with read_refusals(folder / name):
                content = np.frombuffer((folder / name).read_bytes(), np.uint8)
            chunk = max(1, min(CHUNK, len(content)))
            file.create_dataset(name, data=content, chunks=(chunk,), fletcher32=True)
    return out.stat().st_size


def is_packed(path: Path) -> bool:
    """Whether a path is a packed store. Raises DamagedError if its HDF5 cannot be read."""
    with read_refusals(path):
        if not path.is_file() or not _is_hdf5(path):
            return False
    with _reading(path), h5py.File(openable(path), "r") as file:
        return bool(NAME in file or file.attrs.get("kind") == KIND)


def _is_hdf5(path: Path) -> bool:
    """Whether a file is HDF5; an object, whether it starts as one."""
    if not isinstance(path, ObjectPath):
        return bool(h5py.is_hdf5(path))
    with path.open() as opened:
        return opened.read(len(SIGNATURE)) == SIGNATURE


@contextmanager
def _reading(path: Path, name: str = "the file") -> Iterator[None]:
    """Turn whatever h5py raises for damaged bytes into DamagedError."""
    try:
        yield
    except DAMAGE as error:
        raise_refused(path, error)
        raise DamagedError(
            f"{path}: {name} cannot be read ({error}); "
            "restore it from a copy or pack the store again"
        ) from error


class Files:
    """The files of a store, in a folder, below a prefix of a bucket, or packed."""

    def __init__(self, place: Path) -> None:
        with read_refusals(place):
            self.place, self.packed = place, place.is_file()

    def names(self) -> list[str]:
        """Return the paths of all files inside the store."""
        if self.packed:
            return self._packed_names()
        with read_refusals(self.place):
            return sorted(files_below(self.place))

    def _packed_names(self) -> list[str]:
        names: list[str] = []

        def note(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Dataset):
                names.append(name)

        with _reading(self.place), h5py.File(openable(self.place), "r") as file:
            file.visititems(note)
        return names

    def open(self, name: str) -> Readable:
        """Return what h5py and pyarrow can open; a packed file is read into memory.

        Of an object, they fetch the ranges that they need. Raises DamagedError.
        """
        if self.packed:
            return io.BytesIO(self.read(name))
        with reading(self.place / name):
            return openable(self.place / name)

    def read(self, name: str) -> bytes:
        """Return the bytes of a file. Raises DamagedError."""
        with _reading(self.place, name):
            if not self.packed:
                return (self.place / name).read_bytes()
            with h5py.File(openable(self.place), "r") as file:
                return bytes(file[name][:].tobytes())

    def manifest(self) -> Json:
        """Read and check the store's manifest."""
        if self.packed:
            return parse_manifest(self.read(NAME), self.place, "latents")
        return read_manifest(self.place, "latents")

    def problem(self, name: str, digest: str) -> Problem | None:
        """Return what is wrong with a file whose SHA-256 should be `digest`."""
        try:
            content = self.read(name)
        except DamagedError as error:
            return Problem(name, str(error))
        if hashlib.sha256(content).hexdigest() != digest:
            return Problem(name, "does not match its checksum")
        return None


def verify_packed(path: Path) -> list[Problem]:
    """Check every file of a packed store against its manifest."""
    files = Files(path)
    try:
        listed: dict[str, str] = parse_manifest(files.read(NAME), path)["files"]
        unlisted = [name for name in files.names() if name not in listed and name != NAME]
    except ReadError:
        raise
    except StorageError as error:
        return [Problem(NAME, str(error))]
    damaged = [files.problem(name, digest) for name, digest in listed.items()]
    return [
        *(Problem(name, "is not in the manifest") for name in unlisted),
        *(problem for problem in damaged if problem),
    ]
