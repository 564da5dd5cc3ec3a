"""The files of a shard as HDF5: gzip, shuffle and a checksum on every chunk.

Plain h5py reads them and notices a flipped bit.

shard-00000.h5    latents (n, k): codes; attributes precision, low, high, levels
                  outside_row, outside_value (j,): latents that no code can hold
                  exact_row, exact_value (m, …): rows kept exactly
                  gap_row, gap_bits (g, …): other rows with gaps, a bit for each value
rows-00000.h5     error (n,): reconstruction errors, float32; id (n,): if rows have ids
values-00000.h5   values: all blocks, one after the other; block_rows, block_bytes (b,)
                  (only in stores with an error bound)
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.files.atomic import write_beside
from storage.latents.scale import Scale
from storage.latents.shard import Readable, Reader, ShardRows, reading

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

T = TypeVar("T", bound=np.generic)
SUFFIX = ".h5"
CHUNK_ROWS = 4_096
# Up to this many rows, latents are packed column by column, which takes fewer bytes; above it,
# by rows, which reads single rows faster.
COLUMN_ROWS = 65_536
BYTES_CHUNK = 1 << 20
LEVEL = 6  # of gzip
FAST_LEVEL = 4  # for errors: twice as fast for 1 % more bytes, which decoding does not read
LIBVER = ("v110", "v110")  # less overhead for small files than the oldest format


class _FailureKeeper(io.FileIO):
    """A file for HDF5 to write to that keeps its first failure for `writing` to raise.

    HDF5 aborts the process if a write fails.
    """

    failure: OSError | None = None

    def write(self, content: ReadableBuffer) -> int:
        """Write all of it; after a failure, write nothing more."""
        left = memoryview(content).cast("B")
        size = len(left)
        try:
            while self.failure is None and len(left):
                left = left[super().write(left) :]
        except OSError as error:
            self.failure = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Set the length of the file."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return size or 0


@contextmanager
def writing(path: Path) -> Iterator[h5py.File]:
    """Yield an HDF5 file to write datasets into. Raises OSError if the disk refuses."""
    with _FailureKeeper(path, "w+") as raw:
        try:
            with h5py.File(raw, "w", libver=LIBVER) as file:
                yield file
        finally:
            if raw.failure:
                raise raw.failure


def write_shard(path: Path, rows: ShardRows, scale: Scale) -> None:
    """Write the latents of a shard; the same rows give the same bytes."""
    n, k = rows.codes.shape
    chunk = (n, 1) if n <= COLUMN_ROWS else (CHUNK_ROWS, k)
    with writing(path) as file:
        latents = _write(file, "latents", rows.codes, _Storage(chunk=chunk, fill=scale.fill))
        _describe(latents, scale)
        if len(rows.outside_rows):
            _write(file, "outside_row", rows.outside_rows)
            _write(file, "outside_value", rows.outside_values)
        if len(rows.exact_rows):
            _write(file, "exact_row", rows.exact_rows)
            _write(file, "exact_value", rows.exact_values)
        if len(rows.gap_rows):
            _write(file, "gap_row", rows.gap_rows)
            _write(file, "gap_bits", rows.gap_bits)


def write_errors_and_ids(
    path: Path, errors: NDArray[np.float32], ids: NDArray[np.generic] | None
) -> None:
    """Write what belongs to the rows and decoding does not need."""
    with writing(path) as file:
        _write(file, "error", errors, _Storage(level=FAST_LEVEL))
        if ids is not None:
            whole = ids.dtype.kind in "iu"
            stored = ids if whole else np.char.encode(ids.astype(np.str_), "utf-8")
            _write(file, "id", stored)


def write_values(path: Path, blocks: Sequence[bytes], rows: Sequence[int]) -> None:
    """Write the blocks of a shard, and the number of rows of each."""
    content = np.frombuffer(b"".join(blocks), np.uint8)
    sizes = np.array([len(block) for block in blocks], np.int64)
    chunks = (len(rows),)
    with writing(path) as file:
        file.create_dataset(
            "values", data=content, chunks=(min(BYTES_CHUNK, len(content)),), fletcher32=True
        )
        file.create_dataset(
            "block_rows", data=np.array(rows, np.int64), chunks=chunks, fletcher32=True
        )
        file.create_dataset("block_bytes", data=sizes, chunks=chunks, fletcher32=True)


class ShardReader(Reader):
    """Reads the latents of one shard; `file` is at `path` or in memory."""

    def __init__(self, path: Path, file: Readable, row_shape: Sequence[int], dtype: str) -> None:
        super().__init__(path, lambda: h5py.File(file, "r"))
        with reading(path):
            self._latents = self._file["latents"]
            self._beside = ShardRows(
                np.empty(0, np.int8),
                _read(self._file, "outside_row", np.empty(0, np.int64)),
                _read(self._file, "outside_value", np.empty(0, np.float32)),
                _read(self._file, "exact_row", np.empty(0, np.int64)),
                _read(self._file, "exact_value", np.empty((0, *row_shape), dtype)),
                _read(self._file, "gap_row", np.empty(0, np.int64)),
                _read(self._file, "gap_bits", np.empty((0, 0), np.uint8)),
            )

    def read(self, start: int, stop: int) -> ShardRows:
        """Return the rows [start, stop), counted inside the shard."""
        with reading(self._path):
            codes = self._latents[start:stop]
        return self._beside.around(codes, start, stop)


class ValuesReader(Reader):
    """Reads the blocks of one shard; `file` is at `path` or in memory."""

    def __init__(self, path: Path, file: Readable) -> None:
        super().__init__(path, lambda: h5py.File(file, "r"))
        with reading(path):
            self.rows: list[int] = self._file["block_rows"][:].tolist()
            self._ends = np.concatenate([[0], np.cumsum(self._file["block_bytes"][:])])

    def block(self, index: int) -> bytes:
        """Return one block."""
        with reading(self._path):
            return bytes(self._file["values"][self._ends[index] : self._ends[index + 1]].tobytes())


def read_errors_and_ids(
    path: Path, file: Readable, start: int, stop: int
) -> tuple[NDArray[np.float32], NDArray[np.generic] | None]:
    """Return the errors and ids of the rows [start, stop). Raises DamagedError."""
    with reading(path), h5py.File(file, "r") as opened:
        errors = opened["error"][start:stop]
        ids = opened["id"][start:stop] if "id" in opened else None
    if ids is not None and ids.dtype.kind == "S":
        ids = np.char.decode(ids, "utf-8")
    return errors, ids


@dataclass(frozen=True)
class VirtualPart:
    """A shard in the virtual file: rows [start, stop), and the files of latents and errors."""

    latents_file: str
    errors_file: str
    start: int
    stop: int


def write_virtual(
    folder: Path, parts: Sequence[VirtualPart], scale: Scale, latent_dim: int
) -> None:
    """Write latents.h5: all shards as one dataset; a missing shard reads as the fill value."""
    n_rows = parts[-1].stop if parts else 0
    latents = h5py.VirtualLayout((n_rows, latent_dim), scale.dtype)
    errors = h5py.VirtualLayout((n_rows,), np.float32)
    for part in parts:
        n = part.stop - part.start
        if n > 0:
            latents[part.start : part.stop] = h5py.VirtualSource(
                part.latents_file, "latents", (n, latent_dim), scale.dtype
            )
            errors[part.start : part.stop] = h5py.VirtualSource(
                part.errors_file, "error", (n,), np.float32
            )
    for layout in (latents, errors):
        layout.dcpl.set_obj_track_times(False)  # a digested file holds no time of writing
    with write_beside(folder / "latents.h5") as beside, writing(beside) as file:
        _describe(file.create_virtual_dataset("latents", latents, fillvalue=scale.fill), scale)
        file.create_virtual_dataset("error", errors, fillvalue=np.nan)


def _describe(latents: h5py.Dataset, scale: Scale) -> None:
    for name, value in scale.to_json().items():
        # h5py's own strings take 4 kB
        latents.attrs[name] = np.bytes_(value) if isinstance(value, str) else np.asarray(value)


@dataclass(frozen=True)
class _Storage:
    """How a dataset is stored; chunk: () for CHUNK_ROWS rows. level: of gzip."""

    chunk: tuple[int, ...] = ()
    level: int = LEVEL
    fill: float | None = None


_DEFAULT = _Storage()


def _write(
    file: h5py.File, name: str, values: NDArray[np.generic], storage: _Storage = _DEFAULT
) -> h5py.Dataset:
    if not values.size:
        return file.create_dataset(name, data=values, fillvalue=storage.fill)
    return file.create_dataset(
        name,
        data=values,
        chunks=storage.chunk or (min(CHUNK_ROWS, len(values)), *values.shape[1:]),
        compression="gzip",
        compression_opts=storage.level,
        shuffle=values.dtype.itemsize > 1 and values.dtype.kind != "S",
        fletcher32=True,
        fillvalue=storage.fill,
    )


def _read(file: h5py.File, name: str, default: NDArray[T]) -> NDArray[T]:
    return np.asarray(file[name][:]) if name in file else default
