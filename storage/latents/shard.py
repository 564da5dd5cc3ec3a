"""One shard of a latent store, as it is in memory. The two file formats hold exactly this."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.errors import DamagedError
from storage.latents.scale import Scale


@dataclass(frozen=True)
class ShardRows:
    """The latents of n consecutive rows of a store, and the rows kept beside them.

    codes (n, k): latents as stored.
    outside_rows, outside_values (j,): latents that no code can hold, with their row inside the
    shard, in reading order. exact_rows (m,) int64, exact_values (m, *row_shape): rows kept as they
    are in the source, with their row inside the shard.
    """

    codes: NDArray[np.generic]
    outside_rows: NDArray[np.int64]
    outside_values: NDArray[np.float32]
    exact_rows: NDArray[np.int64]
    exact_values: NDArray[Any]

    @classmethod
    def of(
        cls,
        scale: Scale,
        latents: NDArray[np.float32],
        exact_rows: NDArray[np.int64],
        exact_values: NDArray[Any],
    ) -> ShardRows:
        """A shard of latents (n, k) and the rows kept beside them."""
        codes, outside = scale.encode(latents)
        return cls(codes, np.nonzero(outside)[0], latents[outside], exact_rows, exact_values)

    @classmethod
    def join(
        cls, parts: Sequence[ShardRows], exact_rows: NDArray[np.int64], exact_values: NDArray[Any]
    ) -> ShardRows:
        """A shard of consecutive parts, at least one, with the rows kept beside them all."""
        starts = np.cumsum([0, *(len(part.codes) for part in parts)])
        outside_rows = [
            part.outside_rows + start for part, start in zip(parts, starts[:-1], strict=True)
        ]
        outside_values = np.concatenate([part.outside_values for part in parts])
        return cls(
            np.concatenate([part.codes for part in parts]),
            np.concatenate(outside_rows),
            outside_values,
            exact_rows,
            exact_values,
        )

    def latents(self, scale: Scale) -> NDArray[np.float32]:
        """Latents (n, k) float32 as a reader of the store gets them."""
        latents = scale.decode(self.codes)
        latents[scale.is_outside(self.codes)] = self.outside_values
        return latents

    def part(self, start: int, stop: int) -> ShardRows:
        """The rows from `start` up to `stop`, counted inside the shard."""
        return self.around(self.codes[start:stop], start, stop)

    def around(self, codes: NDArray[np.generic], start: int, stop: int) -> ShardRows:
        """The rows from `start` up to `stop`, whose codes were read apart."""
        outside = slice(*np.searchsorted(self.outside_rows, (start, stop)))
        exact = slice(*np.searchsorted(self.exact_rows, (start, stop)))
        return ShardRows(
            codes,
            self.outside_rows[outside] - start,
            self.outside_values[outside],
            self.exact_rows[exact] - start,
            self.exact_values[exact],
        )


class Reader:
    """One file of a shard, as `open_file` gives it;

    `path` names it in errors. It stays open. Raises DamagedError.
    """

    def __init__(self, path: Path, open_file: Callable[[], Any]) -> None:
        self._path = path
        with reading(path):
            self._file = open_file()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what a damaged file raises, in h5py or pyarrow, into DamagedError."""
    try:
        yield
    except (OSError, KeyError, RuntimeError, pa.ArrowInvalid) as error:
        raise DamagedError(
            f"{path}: cannot be read ({error}); run verify on the store, then delete the store and encode again"
        ) from error


def latents_as_read(scale: Scale, latents: NDArray[np.float32]) -> NDArray[np.float32]:
    """Latents (n, k) as they come back from a store with this scale."""
    codes, outside = scale.encode(latents)
    return np.where(outside, latents, scale.decode(codes))
