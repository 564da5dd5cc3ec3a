"""Sources that hold one array: IDX, NPY, NPZ and HDF5."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
from numpy.lib import format as npy

from storage.errors import SourceError
from storage.sources.source import NUMERIC, Chunk, Schema, Source

IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


class StreamSource(Source):
    """Rows that follow a header in one stream of bytes, as in IDX, NPY and NPZ files."""

    def __init__(self, path: Path, *, missing: str, member: str = "") -> None:
        self._member = member
        self._where = f"{path}[{member}]" if member else str(path)
        with self._open_stream(path) as stream:
            dtype, shape, self._offset = self._read_header(stream)
        if not shape:
            raise SourceError(f"{self._where}: expected an array of rows, got a single value")
        if dtype.kind not in NUMERIC:
            raise SourceError(
                f"{self._where}: expected numbers, got dtype {dtype}; no objects or text are read"
            )
        self._dtype = dtype
        schema = Schema(
            tuple(shape[1:]) or (1,), "uint8" if dtype.kind == "b" else dtype.newbyteorder("=").name
        )
        super().__init__(path, schema, shape[0], files=[path], missing=missing, options=member)
        self._require_size()

    def _open_stream(self, path: Path) -> AbstractContextManager[IO[bytes]]:
        return path.open("rb")

    def _read_header(self, stream: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...], int]:
        raise NotImplementedError

    def _require_size(self) -> None:
        expected = self._offset + self.n_bytes
        found = self.path.stat().st_size
        if not self.sequential and found < expected:
            raise SourceError(
                f"{self.path}: truncated: the header promises {self.n_rows} rows, {expected} bytes, and there are {found}"
            )

    def _read(self, start: int, stop: int, max_rows: int) -> Iterator[Chunk]:
        with self._open_stream(self.path) as stream:
            self._skip_to(stream, self._offset + start * self.schema.row_bytes)
            for first in range(start, stop, max_rows):
                count = min(max_rows, stop - first)
                rows = self._take(stream, count, first)
                yield Chunk(
                    first,
                    rows.reshape(count, *self.schema.row_shape).astype(
                        self.schema.dtype, copy=False
                    ),
                    None,
                    self.path.name,
                )
            if self.sequential and stop == self.n_rows:
                self._require_end(stream)

    def _require_end(self, stream: IO[bytes]) -> None:
        """Read past the last row: archives check their checksum there."""
        try:
            extra = len(stream.read(1))
        except (EOFError, OSError, zlib.error, zipfile.BadZipFile) as error:
            raise self._truncated(self.n_rows, error) from error
        if extra:
            raise SourceError(
                f"{self._where}: holds more bytes than the {self.n_rows} rows that its header promises; restore the file"
            )

    def _skip_to(self, stream: IO[bytes], offset: int) -> None:
        try:
            stream.seek(offset)
        except (EOFError, OSError, zlib.error, zipfile.BadZipFile) as error:
            raise self._truncated(offset, error) from error

    def _take(self, stream: IO[bytes], count: int, first: int) -> np.ndarray[Any, Any]:
        wanted = count * self.schema.row_bytes
        try:
            content = stream.read(wanted)
        except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
            raise self._truncated(first, error) from error
        if len(content) < wanted:
            raise self._truncated(
                first, f"row {first + len(content) // max(1, self.schema.row_bytes)} is not there"
            )
        return np.frombuffer(content, self._dtype)

    def _truncated(self, row: int, why: object) -> SourceError:
        return SourceError(
            f"{self._where}: truncated or damaged near row {row} of {self.n_rows} ({why}); restore the file from its origin"
        )


class IdxSource(StreamSource):
    """IDX, as MNIST comes; a gzipped one streams."""

    def __init__(self, path: Path, *, missing: str) -> None:
        self.sequential = path.suffix == ".gz"
        super().__init__(path, missing=missing)
        self.facts = {"format": "IDX, gzipped" if self.sequential else "IDX"}

    def _open_stream(self, path: Path) -> AbstractContextManager[IO[bytes]]:
        return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value] # GzipFile reads bytes

    def _read_header(self, stream: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...], int]:
        try:
            magic = stream.read(4)
            sizes = stream.read(4 * magic[3]) if len(magic) == 4 else b""
        except (EOFError, OSError, zlib.error) as error:
            raise SourceError(f"{self._where}: not a gzipped IDX file ({error})") from error
        if (
            len(magic) < 4
            or magic[:2] != b"\0\0"
            or magic[2] not in IDX_DTYPES
            or len(sizes) < 4 * magic[3]
        ):
            raise SourceError(
                f"{self._where}: not an IDX file: expected it to begin with two zero bytes, a type and a rank, got {magic.hex(' ')}"
            )
        return (
            np.dtype(IDX_DTYPES[magic[2]]),
            tuple(int(size) for size in np.frombuffer(sizes, ">u4")),
            4 + len(sizes),
        )


class NpySource(StreamSource):
    """NPY in C order."""

    def __init__(self, path: Path, *, missing: str) -> None:
        super().__init__(path, missing=missing)
        self.facts = {"format": "NPY"}

    def _read_header(self, stream: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...], int]:
        try:
            version = npy.read_magic(stream)
            reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran, dtype = reader(stream)
        except (ValueError, EOFError) as error:
            raise SourceError(f"{self._where}: not a NPY file ({error})") from error
        if fortran and len(shape) > 1:
            raise SourceError(
                f"{self._where}: stored in Fortran order, whose rows are scattered; save it with np.ascontiguousarray(...)"
            )
        return dtype, shape, stream.tell()


class NpzSource(NpySource):
    """One member of an NPZ archive; it streams, whether stored or deflated."""

    sequential = True

    def __init__(self, path: Path, *, field: str, missing: str) -> None:
        try:
            with zipfile.ZipFile(path) as archive:
                members = [name.removesuffix(".npy") for name in archive.namelist()]
        except zipfile.BadZipFile as error:
            raise SourceError(f"{path}: not an NPZ archive, or truncated ({error})") from error
        StreamSource.__init__(self, path, missing=missing, member=pick_field(path, members, field))
        self.facts = {"format": "NPZ", "field": self._member}

    def _open_stream(self, path: Path) -> AbstractContextManager[IO[bytes]]:
        return zipfile.ZipFile(path).open(f"{self._member}.npy")


class Hdf5Source(Source):
    """One dataset of an HDF5 file, read by hyperslabs."""

    def __init__(self, path: Path, *, field: str, missing: str) -> None:
        with self._open(path) as file:
            names: list[str] = []
            file.visititems(
                lambda name, item: (
                    names.append(name) if isinstance(item, h5py.Dataset) and item.ndim else None
                )
            )
            self._field = pick_field(path, names, field)
            dataset = file[self._field]
            shape, dtype, chunks = dataset.shape, dataset.dtype, dataset.chunks
        if dtype.kind not in NUMERIC:
            raise SourceError(f"{path}[{self._field}]: expected numbers, got dtype {dtype}")
        schema = Schema(
            tuple(shape[1:]) or (1,), "uint8" if dtype.kind == "b" else dtype.newbyteorder("=").name
        )
        super().__init__(path, schema, shape[0], files=[path], missing=missing, options=self._field)
        self.borders = range(0, self.n_rows, chunks[0]) if chunks else ()
        self.facts = {"format": "HDF5", "field": self._field}

    def _open(self, path: Path) -> Any:
        try:
            return h5py.File(path, "r")
        except OSError as error:
            raise SourceError(f"{path}: not an HDF5 file, or truncated ({error})") from error

    def _read(self, start: int, stop: int, max_rows: int) -> Iterator[Chunk]:
        with self._open(self.path) as file:
            dataset = file[self._field]
            for first in range(start, stop, max_rows):
                last = min(first + max_rows, stop)
                try:
                    rows = dataset[first:last]
                except OSError as error:
                    raise SourceError(
                        f"{self.path}[{self._field}]: rows {first} to {last} cannot be read ({error})"
                    ) from error
                yield Chunk(
                    first,
                    rows.reshape(last - first, *self.schema.row_shape).astype(
                        self.schema.dtype, copy=False
                    ),
                    None,
                    self.path.name,
                )


def pick_field(path: Path, names: list[str], field: str) -> str:
    """The one dataset or member to read. Raises SourceError that lists those there are."""
    listed = ", ".join(names[:20]) or "none"
    if field and field.strip("/") not in names:
        raise SourceError(f"{path}: no field '{field}'; there are: {listed}")
    if not field and len(names) != 1:
        raise SourceError(
            f"{path}: holds several fields: {listed}; name one with data.field (for init: --field)"
            if names
            else f"{path}: holds no array"
        )
    return field.strip("/") or names[0]
