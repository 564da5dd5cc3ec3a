"""The files of a shard as HDF5: gzip, shuffle and a checksum on every chunk, so that plain h5py reads them and notices a flipped bit.

shard-00000.h5    latents (n, k): codes; attributes precision, low, high, levels
                  outside_row, outside_value (j,): latents that no code can hold       exact_row, exact_value (m, …): rows kept as they are
rows-00000.h5     error (n,): reconstruction errors, float32                            id (n,): where rows have ids
values-00000.h5   values: blocks one after the other; block_rows, block_bytes (b,)      (stores with an error bound only)
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.files.atomic import write_beside
from storage.latents.scale import Scale
from storage.latents.shard import Reader, ShardRows, reading

SUFFIX = ".h5"
CHUNK_ROWS = 4_096
# up to so many rows, latents are packed column by column, which takes fewer bytes; beyond, single
# rows are read quicker
COLUMN_ROWS = 65_536
BYTES_CHUNK = 1 << 20
# gzip's level for errors: twice as fast as 6 for 1 % more bytes, which decoding does not read
QUICK = 4
LIBVER = ("v110", "v110")  # less overhead for small files than the oldest format


class _Patient(io.FileIO):
    """A file that HDF5 writes to.

    HDF5 brings the process down where a write fails, so the first failure is kept for `writing` to
    raise.
    """

    failure: OSError | None = None

    def write(self, content: Any) -> int:
        """Write all of it; after a failure, nothing any more."""
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
def writing(path: Path) -> Iterator[Any]:
    """Yield an HDF5 file to write datasets into. Raises OSError where the disk refuses."""
    with _Patient(path, "w+") as raw:
        try:
            with h5py.File(raw, "w", libver=LIBVER) as file:
                yield file
        finally:
            if raw.failure:
                raise raw.failure


def write_shard(path: Path, rows: ShardRows, scale: Scale) -> None:
    """Write latents and what belongs to them; the same rows give the same bytes."""
    with writing(path) as file:
        n, k = rows.codes.shape
        chunk = (n, 1) if n <= COLUMN_ROWS else (CHUNK_ROWS, k)
        latents = _write(file, "latents", rows.codes, fillvalue=scale.fill, chunk=chunk)
        _describe(latents, scale)
        if len(rows.outside_rows):
            _write(file, "outside_row", rows.outside_rows)
            _write(file, "outside_value", rows.outside_values)
        if len(rows.exact_rows):
            _write(file, "exact_row", rows.exact_rows)
            _write(file, "exact_value", rows.exact_values)


def write_rows(path: Path, errors: NDArray[np.float32], ids: NDArray[Any] | None) -> None:
    """Write what stands beside the rows and decoding does not need."""
    with writing(path) as file:
        _write(file, "error", errors, level=QUICK)
        if ids is not None:
            _write(
                file,
                "id",
                ids if ids.dtype.kind in "iu" else np.char.encode(ids.astype(np.str_), "utf-8"),
            )


def write_values(path: Path, blocks: Sequence[bytes], rows: Sequence[int]) -> None:
    """Write the blocks of a shard, and how many rows each holds."""
    with writing(path) as file:
        content = np.frombuffer(b"".join(blocks), np.uint8)
        file.create_dataset(
            "values", data=content, chunks=(min(BYTES_CHUNK, len(content)),), fletcher32=True
        )
        file.create_dataset(
            "block_rows", data=np.array(rows, np.int64), chunks=(len(rows),), fletcher32=True
        )
        file.create_dataset(
            "block_bytes",
            data=np.array([len(block) for block in blocks], np.int64),
            chunks=(len(rows),),
            fletcher32=True,
        )


class ShardReader(Reader):
    """Latents of one shard; `file` is at `path` or in memory."""

    def __init__(self, path: Path, file: Any, row_shape: Sequence[int], dtype: str) -> None:
        super().__init__(path, lambda: h5py.File(file, "r"))
        with reading(path):
            self._latents = self._file["latents"]
            self._beside = ShardRows(
                np.empty(0, np.int8),
                _read(self._file, "outside_row", np.empty(0, np.int64)),
                _read(self._file, "outside_value", np.empty(0, np.float32)),
                _read(self._file, "exact_row", np.empty(0, np.int64)),
                _read(self._file, "exact_value", np.empty((0, *row_shape), dtype)),
            )

    def read(self, start: int, stop: int) -> ShardRows:
        """The rows from `start` up to `stop`, counted inside the shard."""
        with reading(self._path):
            codes = self._latents[start:stop]
        return self._beside.around(codes, start, stop)


class ValuesReader(Reader):
    """The blocks of one shard; `file` is at `path` or in memory."""

    def __init__(self, path: Path, file: Any) -> None:
        super().__init__(path, lambda: h5py.File(file, "r"))
        with reading(path):
            self.rows = [int(each) for each in self._file["block_rows"][:]]
            self._ends = np.concatenate([[0], np.cumsum(self._file["block_bytes"][:])])

    def block(self, index: int) -> bytes:
        """One block."""
        with reading(self._path):
            return bytes(self._file["values"][self._ends[index] : self._ends[index + 1]].tobytes())


def read_rows(
    path: Path, file: Any, start: int, stop: int
) -> tuple[NDArray[np.float32], NDArray[Any] | None]:
    """Errors and ids of the rows from `start` up to `stop`. Raises DamagedError."""
    with reading(path), h5py.File(file, "r") as opened:
        ids = opened["id"][start:stop] if "id" in opened else None
        return opened["error"][start:stop], np.char.decode(
            ids, "utf-8"
        ) if ids is not None and ids.dtype.kind == "S" else ids


def write_virtual(
    folder: Path, shards: Sequence[tuple[str, str, int, int]], scale: Scale, latent_dim: int
) -> None:
    """Write latents.h5: all shards (file of latents, file of errors, start, stop) as one dataset.

    A missing shard shows as the fill value.
    """
    n_rows = shards[-1][3] if shards else 0
    latents = h5py.VirtualLayout((n_rows, latent_dim), scale.dtype)
    errors = h5py.VirtualLayout((n_rows,), np.float32)
    for name, errors_of, start, stop in shards:
        if stop > start:
            latents[start:stop] = h5py.VirtualSource(
                name, "latents", (stop - start, latent_dim), scale.dtype
            )
            errors[start:stop] = h5py.VirtualSource(errors_of, "error", (stop - start,), np.float32)
    for layout in (latents, errors):
        layout.dcpl.set_obj_track_times(
            False
        )  # the time of writing has no place in a digested file
    with write_beside(folder / "latents.h5") as beside, writing(beside) as file:
        _describe(file.create_virtual_dataset("latents", latents, fillvalue=scale.fill), scale)
        file.create_virtual_dataset("error", errors, fillvalue=np.nan)


def _describe(latents: Any, scale: Scale) -> None:
    for name, value in scale.to_json().items():
        latents.attrs[name] = (
            np.bytes_(value) if isinstance(value, str) else np.asarray(value)
        )  # h5py's own strings take 4 kB


def _write(
    file: Any,
    name: str,
    values: NDArray[Any],
    *,
    fillvalue: float | None = None,
    chunk: tuple[int, ...] = (),
    level: int = 6,
) -> Any:
    if not values.size:
        return file.create_dataset(name, data=values, fillvalue=fillvalue)
    shuffle = values.dtype.itemsize > 1 and values.dtype.kind != "S"
    return file.create_dataset(
        name, data=values, chunks=chunk or (min(CHUNK_ROWS, len(values)), *values.shape[1:]), compression="gzip",
        compression_opts=level, shuffle=shuffle, fletcher32=True, fillvalue=fillvalue,
    )  # fmt: skip


def _read(file: Any, name: str, default: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(file[name][:]) if name in file else default
