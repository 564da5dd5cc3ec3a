"""NPY files and NPZ archives as a source."""

from __future__ import annotations

import math
import shutil
import tempfile
import tokenize
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from storage.errors import SourceError
from storage.files.reads import unreadable
from storage.objects.paths import openable
from storage.sources.arrays.array import pick_field
from storage.sources.arrays.column_file import copying
from storage.sources.arrays.streams import READ_ERRORS, Header, StreamSource
from storage.text import printable

VERSIONS = ((1, 0), (2, 0), (3, 0))
# a header is a Python literal: NumPy passes on what Python's parser raises
HEADER_ERRORS = (*READ_ERRORS, SyntaxError, TypeError, KeyError, tokenize.TokenError, UserWarning)
ENDING = ".npy"


class NpySource(StreamSource):
    """NPY in C or Fortran order."""

    def __init__(self, path: Path, *, missing: str) -> None:
        super().__init__(path, missing=missing)
        self.facts = {"format": "NPY"}

    def _read_header(self, stream: IO[bytes]) -> Header:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # NumPy warns where it guesses
                return read_npy_header(stream)
        except HEADER_ERRORS as error:
            raise SourceError(
                f"{self._label}: not an NPY file, or damaged ({printable(str(error))}); "
                "restore the file"
            ) from error


class NpzSource(NpySource):
    """One member of an NPZ archive, compressed or not, read sequentially."""

    sequential = True

    def __init__(self, path: Path, *, field: str, missing: str) -> None:
        self._stored_as = pick_field(path, npz_members(path), field)
        member = printable(self._stored_as.removesuffix(ENDING))
        StreamSource.__init__(self, path, missing=missing, member=member)
        self.facts = {"format": "NPZ", "field": member}

    def _open_stream(self, path: Path) -> AbstractContextManager[IO[bytes]]:
        try:
            return zipfile.ZipFile(openable(path)).open(self._stored_as)
        except (OSError, *READ_ERRORS) as error:
            damage = f": cannot be unpacked ({error})"
            raise unreadable(Path(self._label), error, damage) from error

    @contextmanager
    def _opened(self, start: int, stop: int) -> Iterator[IO[bytes]]:
        if not self._header.by_column:
            with super()._opened(start, stop) as stream:
                yield stream
            return
        with tempfile.TemporaryFile() as unpacked:  # rows are all over the member
            self._unpack(unpacked)
            yield unpacked

    def _unpack(self, target: IO[bytes]) -> None:
        with self._open_stream(self.path) as stream, copying(self._label):
            try:
                shutil.copyfileobj(stream, target)
            except READ_ERRORS as error:
                raise self._truncated(0, error) from error


def read_npy_header(stream: IO[bytes]) -> Header:
    """Read the header of an NPY stream. Raises one of HEADER_ERRORS if there is none."""
    version = npy.read_magic(stream)
    if version not in VERSIONS:
        raise ValueError(f"format version {version}")
    reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, by_column, dtype = reader(stream)
    _require_addressable(shape, dtype)
    return Header(dtype, shape, stream.tell(), by_column and len(shape) > 1)


def _require_addressable(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> None:
    size = math.prod(shape) * dtype.itemsize
    if not 0 <= size < 2**62 or any(axis < 0 for axis in shape):
        raise ValueError(f"impossible shape {shape}")


def npz_members(path: Path) -> dict[str, str]:
    """Return the arrays of an NPZ archive, by their names as shown. Raises SourceError."""
    try:
        with zipfile.ZipFile(openable(path)) as archive:
            names = [name for name in archive.namelist() if name.endswith(ENDING)]
    except READ_ERRORS as error:
        raise SourceError(f"{path}: not an NPZ archive, or truncated ({error})") from error
    return {printable(name.removesuffix(ENDING)): name for name in names}
