"""A store as one HDF5 file, to be sent or archived: every file of the folder as a dataset of bytes, by its path, with a checksum.

`decode`, `inspect` and `verify` read it as they read the folder. With plain h5py: `io.BytesIO(file["shard-00000.h5"][:].tobytes())` is the shard.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import h5py
import numpy as np

from storage.errors import DamagedError
from storage.files.atomic import write_beside
from storage.files.manifest import (
    NAME,
    Problem,
    list_files,
    parse_manifest,
    read_manifest,
    require_whole,
)
from storage.latents.hdf5 import writing

CHUNK = 1 << 20
KIND = "nightglass store"


def pack_store(folder: Path, out: Path) -> int:
    """Write the whole store in `folder`, after checking it, to the HDF5 file `out`.

    Return its bytes. Raises DamagedError.
    """
    read_manifest(folder, "latents")
    require_whole(folder)
    with write_beside(out) as beside, writing(beside) as file:
        file.attrs["kind"] = KIND
        for name in [NAME, *list_files(folder)]:
            content = np.fromfile(folder / name, np.uint8)
            file.create_dataset(
                name, data=content, chunks=(max(1, min(CHUNK, len(content))),), fletcher32=True
            )
    return out.stat().st_size


def is_packed(path: Path) -> bool:
    """Whether a path is a packed store."""
    if not path.is_file() or not h5py.is_hdf5(path):
        return False
    with h5py.File(path, "r") as file:
        return bool(file.attrs.get("kind") == KIND)


class Files:
    """The files of a store, in a folder or packed."""

    def __init__(self, place: Path) -> None:
        self.place, self.packed = place, place.is_file()

    def names(self) -> list[str]:
        """Paths of all files inside the store."""
        if not self.packed:
            return [
                path.relative_to(self.place).as_posix()
                for path in sorted(self.place.rglob("*"))
                if path.is_file()
            ]
        found: list[str] = []
        with h5py.File(self.place, "r") as file:
            file.visititems(
                lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None
            )
        return found

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return name in self.names() if self.packed else (self.place / name).exists()

    def open(self, name: str) -> Path | io.BytesIO:
        """What h5py and pyarrow can open.

        A packed file is taken into memory as it is, packed values and all.
        """
        return io.BytesIO(self.read(name)) if self.packed else self.place / name

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises DamagedError."""
        try:
            if not self.packed:
                return (self.place / name).read_bytes()
            with h5py.File(self.place, "r") as file:
                return bytes(file[name][:].tobytes())
        except (OSError, KeyError) as error:
            raise DamagedError(
                f"{self.place}: {name} cannot be read ({error}); restore it from a copy or pack the store again"
            ) from error


def verify_packed(path: Path) -> list[Problem]:
    """Check every file of a packed store against its manifest."""
    try:
        listed = parse_manifest(Files(path).read(NAME), path)["files"]
        problems = [
            Problem(name, "is not in the manifest")
            for name in Files(path).names()
            if name not in listed and name != NAME
        ]
    except (DamagedError, OSError) as error:
        return [Problem(NAME, str(error))]
    for name, expected in listed.items():
        try:
            if hashlib.sha256(Files(path).read(name)).hexdigest() != expected:
                problems.append(Problem(name, "does not match its checksum"))
        except DamagedError as error:
            problems.append(Problem(name, str(error)))
    return problems
