"""Sources that hold one array: IDX, NPY, NPZ and HDF5."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import h5py
import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.sources.source import NUMERIC, Chunk, Origin, Schema, Source

IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
READ_ERRORS = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile)
MOST_FIELDS = 20  # in one message


@dataclass(frozen=True)
class Header:
    """What the header of an array file says, and the byte at which the rows start."""

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    offset: int


class ArraySource(Source):
    """Rows along the first axis of one array; a one-dimensional array has rows of one value."""

    def _chunk(self, start: int, rows: NDArray[np.generic]) -> Chunk:
        shaped = rows.reshape(-1, *self.schema.row_shape)
        return Chunk(start, shaped.astype(self.schema.dtype, copy=False), None, self.path.name)


def row_schema(dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> Schema:
    """Describe the rows of an array in native byte order; Booleans are read as uint8."""
    name = "uint8" if dtype.kind == "b" else dtype.newbyteorder("=").name
    types = ("bool",) if dtype.kind == "b" else ()
    return Schema(tuple(shape[1:]) or (1,), name, types=types, flat=len(shape) == 1)


class StreamSource(ArraySource):
    """Rows that follow a header in one stream of bytes: IDX, NPY and NPZ files."""

    def __init__(self, path: Path, *, missing: str, member: str = "") -> None:
        self._member = member
        self._label = f"{path}[{member}]" if member else str(path)
        with self._open_stream(path) as stream:
            header = self._read_header(stream)
        self._require_numeric_rows(header)
        self._header = header
        super().__init__(
            Origin(path, (path,), missing, member),
            row_schema(header.dtype, header.shape),
            header.shape[0],
        )
        self._require_size()

    def _open_stream(self, path: Path) -> AbstractContextManager[IO[bytes]]:
        return path.open("rb")

    def _read_header(self, stream: IO[bytes]) -> Header:
        raise NotImplementedError

    def _require_numeric_rows(self, header: Header) -> None:
        if not header.shape:
            raise SourceError(f"{self._label}: expected an array of rows, got a single value")
        if header.dtype.kind not in NUMERIC:
            raise SourceError(
                f"{self._label}: expected numbers, got dtype {header.dtype}; "
                "objects and text are not supported"
            )

    def _require_size(self) -> None:
        expected = self._header.offset + self.n_bytes
        found = self.path.stat().st_size
        if not self.sequential and found < expected:
            raise SourceError(
                f"{self.path}: truncated: the header says {self.n_rows} rows "
                f"({expected} bytes), the file has {found} bytes"
            )

    def _read(self, start: int, stop: int, max_rows: int) -> Iterator[Chunk]:
        with self._open_stream(self.path) as stream:
            self._skip_to(stream, self._header.offset + start * self.schema.row_bytes)
            for first in range(start, stop, max_rows):
                count = min(max_rows, stop - first)
                yield self._chunk(first, self._read_rows(stream, count, first))
            if self.sequential and stop == self.n_rows:
                self._require_end(stream)

    def _require_end(self, stream: IO[bytes]) -> None:
        """Read past the last row, where archives verify their checksum."""
        try:
            extra = stream.read(1)
        except (OSError, *READ_ERRORS) as error:
            raise self._truncated(self.n_rows, error) from error
        if extra:
            raise SourceError(
                f"{self._label}: holds more bytes than the {self.n_rows} rows in its header; "
                "restore the file"
            )

    def _skip_to(self, stream: IO[bytes], offset: int) -> None:
        try:
            stream.seek(offset)
        except (OSError, *READ_ERRORS) as error:
            raise self._truncated(offset, error) from error

    def _read_rows(self, stream: IO[bytes], count: int, first: int) -> NDArray[np.generic]:
        wanted = count * self.schema.row_bytes
        try:
            content = stream.read(wanted)
        except READ_ERRORS as error:
            raise self._truncated(first, error) from error
        if len(content) < wanted:
            missing_row = first + len(content) // self.schema.row_bytes
            raise self._truncated(first, f"row {missing_row} is missing")
        return np.frombuffer(content, self._header.dtype)

    def _truncated(self, row: int, why: object) -> SourceError:
        return SourceError(
            f"{self._label}: truncated or damaged near row {row} of {self.n_rows} ({why}); "
            "restore the file"
        )


class IdxSource(StreamSource):
    """IDX, the format of MNIST; a gzipped file is read sequentially."""

    def __init__(self, path: Path, *, missing: str) -> None:
        self.sequential = path.suffix == ".gz"
        super().__init__(path, missing=missing)
        self.facts = {"format": "IDX, gzipped" if self.sequential else "IDX"}

    def _open_stream(self, path: Path) -> AbstractContextManager[IO[bytes]]:
        if path.suffix == ".gz":
            return gzip.open(path, "rb")  # type: ignore[return-value] # GzipFile reads bytes
        return path.open("rb")

    def _read_header(self, stream: IO[bytes]) -> Header:
        magic, sizes = self._read_magic(stream)
        known = len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in IDX_DTYPES
        if not known or len(sizes) < 4 * magic[3]:
            raise SourceError(
                f"{self._label}: not an IDX file: "
                f"expected two zero bytes, a type and a rank, got {magic.hex(' ')}"
            )
        shape = tuple(np.frombuffer(sizes, ">u4").tolist())
        return Header(np.dtype(IDX_DTYPES[magic[2]]), shape, len(magic) + len(sizes))

    def _read_magic(self, stream: IO[bytes]) -> tuple[bytes, bytes]:
        """Read two zero bytes, type and rank; then the size of each axis, four bytes each."""
        try:
            magic = stream.read(4)
            sizes = stream.read(4 * magic[3]) if len(magic) == 4 else b""
        except (EOFError, OSError, zlib.error) as error:
            raise SourceError(f"{self._label}: not a gzipped IDX file ({error})") from error
        return magic, sizes


class NpySource(StreamSource):
    """NPY in C order."""

    def __init__(self, path: Path, *, missing: str) -> None:
        super().__init__(path, missing=missing)
        self.facts = {"format": "NPY"}

    def _read_header(self, stream: IO[bytes]) -> Header:
        try:
            version = npy.read_magic(stream)
            reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran, dtype = reader(stream)
        except (ValueError, EOFError) as error:
            raise SourceError(f"{self._label}: not an NPY file ({error})") from error
        if fortran and len(shape) > 1:
            raise SourceError(
                f"{self._label}: stored in Fortran order, in which rows are not contiguous; "
                "save it with np.ascontiguousarray(...)"
            )
        return Header(dtype, shape, stream.tell())


class NpzSource(NpySource):
    """One member of an NPZ archive, compressed or not, read sequentially."""

    sequential = True

    def __init__(self, path: Path, *, field: str, missing: str) -> None:
        member = pick_field(path, self._members(path), field)
        StreamSource.__init__(self, path, missing=missing, member=member)
        self.facts = {"format": "NPZ", "field": member}

    @staticmethod
    def _members(path: Path) -> list[str]:
        try:
            with zipfile.ZipFile(path) as archive:
                return [name.removesuffix(".npy") for name in archive.namelist()]
        except zipfile.BadZipFile as error:
            raise SourceError(f"{path}: not an NPZ archive, or truncated ({error})") from error

    def _open_stream(self, path: Path) -> AbstractContextManager[IO[bytes]]:
        return zipfile.ZipFile(path).open(f"{self._member}.npy")


class Hdf5Source(ArraySource):
    """One dataset of an HDF5 file, read by hyperslabs."""

    def __init__(self, path: Path, *, field: str, missing: str) -> None:
        with self._open(path) as file:
            self._field = pick_field(path, dataset_names(file), field)
            dataset = file[self._field]
            shape, dtype, chunks = dataset.shape, dataset.dtype, dataset.chunks
        if dtype.kind not in NUMERIC:
            raise SourceError(f"{path}[{self._field}]: expected numbers, got dtype {dtype}")
        origin = Origin(path, (path,), missing, self._field)
        super().__init__(origin, row_schema(dtype, shape), shape[0])
        self.borders = range(0, self.n_rows, chunks[0]) if chunks else ()
        self.facts = {"format": "HDF5", "field": self._field}

    def _open(self, path: Path) -> h5py.File:
        try:
            return h5py.File(path, "r")
        except OSError as error:
            raise SourceError(f"{path}: not an HDF5 file, or truncated ({error})") from error

    def _read(self, start: int, stop: int, max_rows: int) -> Iterator[Chunk]:
        with self._open(self.path) as file:
            for first in range(start, stop, max_rows):
                last = min(first + max_rows, stop)
                yield self._chunk(first, self._read_rows(file[self._field], first, last))

    def _read_rows(self, dataset: h5py.Dataset, first: int, last: int) -> NDArray[np.generic]:
        try:
            rows: NDArray[np.generic] = dataset[first:last]
        except OSError as error:
            raise SourceError(
                f"{self.path}[{self._field}]: cannot read rows {first} to {last} ({error})"
            ) from error
        return rows


def dataset_names(file: h5py.File) -> list[str]:
    """Return the paths of all datasets in an HDF5 file, except scalars."""
    names: list[str] = []

    def collect(name: str, item: h5py.HLObject) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim:
            names.append(name)

    file.visititems(collect)
    return names


def pick_field(path: Path, names: list[str], field: str) -> str:
    """Return the dataset or member to read. Raises SourceError that lists the existing ones."""
    listed = ", ".join(names[:MOST_FIELDS]) or "none"
    if field and field.strip("/") not in names:
        raise SourceError(f"{path}: no field '{field}'; fields: {listed}")
    if not field and not names:
        raise SourceError(f"{path}: contains no array")
    if not field and len(names) > 1:
        raise SourceError(
            f"{path}: contains several fields: {listed}; "
            "select one with data.field (for init: --field)"
        )
    return field.strip("/") or names[0]
