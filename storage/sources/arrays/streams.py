"""Sources of one array in one stream of bytes; IDX is one of them."""

from __future__ import annotations

import gzip
import lzma
import math
import zipfile
import zlib
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.files.reads import read_error, refusal, unreadable
from storage.objects.paths import openable
from storage.sources.arrays.array import ArraySource, require_numeric_rows, row_schema
from storage.sources.arrays.column_file import ColumnFile
from storage.sources.chunks import Chunk
from storage.sources.source import Origin

IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
# what Python's own readers raise for damaged, encrypted or unknown archives and sizes
READ_ERRORS = (
    EOFError,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    MemoryError,
)


@dataclass(frozen=True)
class Header:
    """What the header of an array file says, and the byte at which the values start.

    by_column: Fortran order, in which the first axis varies fastest.
    """

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    offset: int
    by_column: bool = False


class StreamSource(ArraySource[IO[bytes]]):
    """Rows that follow a header in one stream of bytes: IDX, NPY and NPZ files."""

    def __init__(self, path: Path, *, missing: str, member: str = "") -> None:
        self._member = member
        self._label = f"{path}[{member}]" if member else str(path)
        with self._open_stream(path) as stream:
            header = self._read_header(stream)
        require_numeric_rows(self._label, header.dtype, header.shape)
        self._header = header
        super().__init__(
            Origin(path, (path,), missing, member),
            row_schema(header.dtype, header.shape),
            header.shape[0],
        )
        self._width = math.prod(self.schema.row_shape)
        if header.by_column:
            self.band = max(1, self.n_rows)
        self._require_size()

    def _open_stream(self, path: Path) -> AbstractContextManager[IO[bytes]]:
        """Open the stream at its header."""
        return path.open("rb")

    @abstractmethod
    def _read_header(self, stream: IO[bytes]) -> Header:
        """Read the header from the start of the stream."""

    def _require_size(self) -> None:
        expected = self._header.offset + self.n_bytes
        found = self.path.stat().st_size
        if self.sequential or found == expected:
            return
        what = "truncated" if found < expected else "damaged, or followed by other content"
        raise SourceError(
            f"{self.path}: {what}: the header says {self.n_rows} rows "
            f"({expected} bytes), the file has {found} bytes; restore the file"
        )

    @contextmanager
    def _opened(self, start: int, stop: int) -> Iterator[IO[bytes]]:  # noqa: ARG002 # interface
        with self._open_stream(self.path) as stream:
            self._skip_to(stream, self._header.offset + start * self.schema.row_bytes)
            yield stream

    def _read(self, start: int, stop: int, max_rows: int) -> Iterator[Chunk]:
        with self._opened(start, stop) as stream:
            yield from self._read_blocks(stream, (start, stop), max_rows)
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

    def _read_rows(self, opened: IO[bytes], first: int, last: int) -> NDArray[np.generic]:
        if self._header.by_column:
            return self._gather(opened, first, last)
        values = self._values(opened, (last - first) * self.schema.row_bytes, first)
        return values.reshape(-1, *self.schema.row_shape)

    def _gather(self, stream: IO[bytes], first: int, last: int) -> NDArray[np.generic]:
        """Return rows (n, *row_shape) of an array in Fortran order."""
        axes = (*reversed(self._header.shape[1:]), last - first)
        try:
            columns = self._columns.read(stream, first, last)
        except (OSError, *READ_ERRORS) as error:
            raise self._truncated(first, error) from error
        return columns.reshape(axes).T

    @property
    def _columns(self) -> ColumnFile:
        return ColumnFile(self._header.dtype, self.n_rows, self._width, self._header.offset)

    def _values(self, stream: IO[bytes], wanted: int, first: int) -> NDArray[np.generic]:
        """Read so many bytes as values (n,); they start at row `first`."""
        try:
            content = stream.read(wanted)
        except READ_ERRORS as error:
            raise self._truncated(first, error) from error
        if len(content) < wanted:
            missing_row = first + len(content) // self.schema.row_bytes
            raise self._truncated(first, f"row {missing_row} is missing")
        return np.frombuffer(content, self._header.dtype)

    def _truncated(self, row: int, why: object) -> SourceError:
        if isinstance(why, Exception) and refusal(why):
            return read_error(self.path, why)
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
            return gzip.open(openable(path), "rb")  # type: ignore[return-value] # GzipFile reads bytes
        return super()._open_stream(path)

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
            damage = f": not a gzipped IDX file ({error})"
            raise unreadable(Path(self._label), error, damage) from error
        return magic, sizes
