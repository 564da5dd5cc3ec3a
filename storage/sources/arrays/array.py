"""What all sources of one array share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.sources.chunks import Chunk
from storage.sources.columns.schema import Schema
from storage.sources.source import NUMERIC, Source

MOST_AXES = 32  # as in HDF5
MOST_FIELDS = 20  # in one message
Opened = TypeVar("Opened")
Name = TypeVar("Name", str, bytes, str | bytes)


class ArraySource(Source, Generic[Opened]):
    """Rows along the first axis of one array; a one-dimensional array has rows of one value.

    band: rows stored together, read at once even if chunks are smaller.
    block_bytes: most memory for that.
    """

    band = 1
    block_bytes = 16_000_000

    @abstractmethod
    def _opened(self, start: int, stop: int) -> AbstractContextManager[Opened]:
        """Open the file at row `start`, to read rows up to `stop`."""

    @abstractmethod
    def _read_rows(self, opened: Opened, first: int, last: int) -> NDArray[np.generic]:
        """Return rows [first, last)."""

    def _read(self, start: int, stop: int, max_rows: int) -> Iterator[Chunk]:
        with self._opened(start, stop) as opened:
            yield from self._read_blocks(opened, (start, stop), max_rows)

    def _read_blocks(
        self, opened: Opened, interval: tuple[int, int], max_rows: int
    ) -> Iterator[Chunk]:
        first, stop = interval
        while first < stop:
            last = min(stop, self._block_end(first, max_rows))
            yield from self._chunks_of(self._read_rows(opened, first, last), first, max_rows)
            first = last

    def _block_end(self, first: int, max_rows: int) -> int:
        """Return where to stop reading at once: with large bands, at the end of one if possible."""
        if self.band <= max_rows:
            return first + max_rows
        most = max(max_rows, self.block_bytes // self.schema.row_bytes)
        return min(first + most, (first // self.band + 1) * self.band)

    def _chunks_of(self, rows: NDArray[np.generic], first: int, max_rows: int) -> Iterator[Chunk]:
        for start in range(0, len(rows), max_rows):
            yield self._chunk(first + start, rows[start : start + max_rows])

    def _chunk(self, start: int, rows: NDArray[np.generic]) -> Chunk:
        shaped = rows.reshape(-1, *self.schema.row_shape)
        values = np.ascontiguousarray(shaped, self.schema.dtype)
        return Chunk(start, values, None, self.path.name)


def row_schema(dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> Schema:
    """Describe the rows of an array in native byte order; Booleans are read as uint8."""
    name = "uint8" if dtype.kind == "b" else dtype.newbyteorder("=").name
    types = ("bool",) if dtype.kind == "b" else ()
    return Schema(tuple(shape[1:]) or (1,), name, types=types, flat=len(shape) == 1)


def require_numeric_rows(label: str, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> None:
    """Require an array of rows of numbers. Raises SourceError."""
    if not shape:
        raise SourceError(f"{label}: expected an array of rows, got a single value")
    if len(shape) > MOST_AXES:
        raise SourceError(
            f"{label}: the header gives {len(shape)} axes, expected at most {MOST_AXES}; "
            "restore the file"
        )
    if dtype.kind not in NUMERIC:
        raise SourceError(
            f"{label}: expected numbers, got dtype {dtype}; objects and text are not supported"
        )


def named_coordinates(name: str, attributes: Mapping[str, object]) -> Iterator[str]:
    """Yield the arrays that an array names as its coordinates, by netCDF's conventions."""
    group = name.rpartition("/")[0]
    for key in ("coordinates", "bounds"):
        text = attributes.get(key)
        text = text.decode(errors="replace") if isinstance(text, bytes) else text
        for found in text.split() if isinstance(text, str) else ():
            yield f"{group}/{found}".lstrip("/")


def pick_field(
    path: Path, fields: Mapping[str, Name], field: str, *, labels: Collection[str] = ()
) -> Name:
    """Return the dataset or member to read. Raises SourceError that lists the existing ones.

    fields: names as they are shown and selected, and as the file has them. labels: those that label
    the axes of others, which are read only if selected.
    """
    chosen = field.strip("/")
    rows: list[str] = [name for name in fields if name not in labels] or [*fields]
    listed = ", ".join([*rows, *(name for name in fields if name in labels)][:MOST_FIELDS])
    if chosen and chosen not in fields:
        raise SourceError(f"{path}: no field '{field}'; fields: {listed or 'none'}")
    if not chosen and not fields:
        raise SourceError(f"{path}: contains no array")
    if not chosen and len(rows) > 1:
        raise SourceError(
            f"{path}: contains several fields: {listed}; "
            "select one with data.field (for init: --field)"
        )
    return fields[chosen or rows[0]]
