"""One shard of a latent store in memory. Both file formats hold exactly this."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Protocol

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from storage.codecs.grid import to_types
from storage.errors import DamagedError
from storage.files.reads import raise_refused
from storage.latents.scale import Scale
from storage.sources.columns.schema import Schema

Readable = Path | IO[bytes]  # what h5py and pyarrow can open
NEAR = 64  # rows that lie at most this far apart are read together
TOGETHER = 8_192  # rows read together at most


@dataclass(frozen=True)
class ShardRows:
    """The latents of n consecutive rows of a store, and the rows kept exactly.

    codes: (n, k), latents as stored.
    outside_rows, outside_values: (j,), latents that no code can hold, with their row inside the
    shard, in reading order.
    exact_rows: (m,) int64, exact_values: (m, *row_shape), original rows, with their row inside the
    shard.
    gap_rows: (g,) int64, gap_bits: (g, ⌈d / 8⌉) uint8, other rows with gaps, and a bit for each
    value, 1 where it is missing, the highest bit first.
    """

    codes: NDArray[np.generic]
    outside_rows: NDArray[np.int64]
    outside_values: NDArray[np.float32]
    exact_rows: NDArray[np.int64]
    exact_values: NDArray[np.generic]
    gap_rows: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    gap_bits: NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, 0), np.uint8))

    @classmethod
    def of(
        cls,
        scale: Scale,
        latents: NDArray[np.float32],
        exact_rows: NDArray[np.int64],
        exact_values: NDArray[np.generic],
    ) -> ShardRows:
        """Build a shard from latents (n, k) and the rows kept exactly."""
        codes, outside = scale.encode(latents)
        return cls(codes, np.nonzero(outside)[0], latents[outside], exact_rows, exact_values)

    @classmethod
    def join(
        cls,
        parts: Sequence[ShardRows],
        exact_rows: NDArray[np.int64],
        exact_values: NDArray[np.generic],
    ) -> ShardRows:
        """Build a shard from consecutive parts, at least one, and the rows kept exactly."""
        starts = np.cumsum([0, *(len(part.codes) for part in parts)])[:-1]
        outside_rows = [
            part.outside_rows + start for part, start in zip(parts, starts, strict=True)
        ]
        return cls(
            np.concatenate([part.codes for part in parts]),
            np.concatenate(outside_rows),
            np.concatenate([part.outside_values for part in parts]),
            exact_rows,
            exact_values,
        )

    def latents(self, scale: Scale) -> NDArray[np.float32]:
        """Return the latents (n, k) float32 that a reader of the store gets."""
        latents = scale.decode(self.codes)
        latents[scale.is_outside(self.codes)] = self.outside_values
        return latents

    def with_gaps(self, gaps: NDArray[np.bool_], rows: NDArray[np.int64]) -> ShardRows:
        """Return the shard with the gaps (g, d) of `rows` (g,)."""
        if not len(rows):
            return self
        return replace(self, gap_rows=rows, gap_bits=np.packbits(gaps, axis=1))

    def restore_gaps(self, rows: NDArray[np.generic]) -> None:
        """Set the missing values of the decoded rows (n, d) to NaN, in place."""
        if len(self.gap_rows):
            missing = np.unpackbits(self.gap_bits, axis=1, count=rows.shape[1]).astype(bool)
            rows[self.gap_rows] = np.where(missing, np.nan, rows[self.gap_rows])

    def part(self, start: int, stop: int) -> ShardRows:
        """Return the rows [start, stop), counted inside the shard."""
        return self.around(self.codes[start:stop], start, stop)

    def around(self, codes: NDArray[np.generic], start: int, stop: int) -> ShardRows:
        """Return the rows [start, stop), whose codes were read separately."""
        outside = slice(*np.searchsorted(self.outside_rows, (start, stop)))
        exact = slice(*np.searchsorted(self.exact_rows, (start, stop)))
        gaps = slice(*np.searchsorted(self.gap_rows, (start, stop)))
        return ShardRows(
            codes,
            self.outside_rows[outside] - start,
            self.outside_values[outside],
            self.exact_rows[exact] - start,
            self.exact_values[exact],
            self.gap_rows[gaps] - start,
            self.gap_bits[gaps],
        )


class LatentsReader(Protocol):
    """Reads the latents of one shard."""

    def read(self, start: int, stop: int) -> ShardRows:
        """Return the rows [start, stop), counted inside the shard. Raises DamagedError."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class BlocksReader(Protocol):
    """Reads the blocks of one shard; rows: number of rows of each block."""

    rows: list[int]

    def block(self, index: int) -> bytes:
        """Return one block. Raises DamagedError."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class Reader:
    """An open file of a shard; `path` names it in errors. Raises DamagedError."""

    def __init__(self, path: Path, open_file: Callable[[], h5py.File | pq.ParquetFile]) -> None:
        self._path = path
        with reading(path):
            self._file = open_file()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class LatentsDecoder(Protocol):
    """Maps latents to rows in data units."""

    @property
    def size(self) -> int:
        """Rows of a batch."""
        ...

    def decode_exactly(
        self, latents: NDArray[np.float32], keys: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Return rows (n, *row_shape) without rounding; keys: (n,), of entities, if any."""
        ...

    def decode_rounded(
        self, latents: NDArray[np.float32], dtype: str, keys: NDArray[np.float64] | None = None
    ) -> NDArray[np.floating]:
        """Return these rows in a dtype of floats; values beyond its range are infinite."""
        ...


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the errors of h5py and pyarrow into DamagedError, or ReadError if the disk refuses."""
    try:
        yield
    except (OSError, KeyError, RuntimeError, pa.ArrowInvalid) as error:
        raise_refused(path, error)
        raise DamagedError(
            f"{path}: cannot be read ({error}); "
            "run verify on the store, then delete the store and encode again"
        ) from error


def latents_as_read(scale: Scale, latents: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return latents (n, k) as a reader of a store with this scale gets them."""
    codes, outside = scale.encode(latents)
    return np.where(outside, latents, scale.decode(codes))


def rows_as_read(
    decoder: LatentsDecoder,
    latents: NDArray[np.float32],
    schema: Schema,
    keys: NDArray[np.float64] | None = None,
) -> NDArray[np.generic]:
    """Return the rows (n, d) that a reader gets for latents (n, k); keys: (n,) of entities, if any.

    Decoded and rounded batch by batch, so that exact values stay in the CPU caches.
    """
    if np.dtype(schema.dtype).kind == "f" and not schema.types:
        found = decoder.decode_rounded(latents, schema.dtype, keys)
        if np.isfinite(found).all():  # else what is slightly too large may have to be clipped
            return found.reshape(len(latents), -1)
    rows = np.empty((len(latents), math.prod(schema.row_shape)), schema.dtype)
    size = decoder.size
    for start in range(0, len(rows), size):
        batch = slice(start, start + size)
        exact = decoder.decode_exactly(latents[batch], None if keys is None else keys[batch])
        rows[batch] = to_types(exact.reshape(len(exact), -1), schema.dtype, schema.types)
    return rows


def near_runs(wanted: NDArray[np.int64]) -> Iterator[NDArray[np.intp]]:
    """Yield places in `wanted`, sorted by row, so that each run of near rows is read at once."""
    order = np.argsort(wanted, kind="stable")
    gaps = np.flatnonzero(np.diff(wanted[order]) > NEAR)
    for places in np.split(order, gaps + 1):
        for start in range(0, len(places), TOGETHER):
            yield places[start : start + TOGETHER]
