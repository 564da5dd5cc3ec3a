"""decode: the data back from a latent store alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aemodel.bundle import decoder_from_files
from flows.errors import UsageError
from flows.results import Done
from storage.latents import Store, open_store, write_decoded
from storage.latents.archive import pack_store

CHUNK_ROWS = 8_192


@dataclass(frozen=True)
class DecodeResult(Done):
    """What was written."""

    path: Path
    store: Path
    rows: int

    def to_json(self) -> dict[str, Any]:
        """For --json."""
        return {"path": str(self.path), "store": str(self.store), "rows": self.rows}

    def to_text(self) -> str:
        """For a terminal."""
        return f"{self.rows:,} rows decoded from {self.store}\n  {self.path}"


def decode_store(folder: Path, out: Path, *, rows: str = "") -> DecodeResult:
    """Decode the rows 'A:B' of a store (all where `rows` is empty.

    Several with commas between) into a .npy, .h5 or .parquet file.
    """
    with open_store(folder) as store:
        wanted = parse_rows(rows, store.n_rows)
        write_decoded(
            out, decoded_pieces(store, wanted), store.schema, n_rows=sum(map(len, wanted))
        )
    return DecodeResult(out, folder, sum(map(len, wanted)))


def decoded_pieces(store: Store, wanted: Sequence[range]) -> Iterator[NDArray[Any]]:
    """The rows of all ranges, in order, in pieces; single rows are looked up together."""
    decoder = decoder_of(store)
    if all(len(each) == 1 for each in wanted):
        single = np.array([each.start for each in wanted], np.int64)
        yield from (
            store.take(single[first : first + CHUNK_ROWS], decoder)
            for first in range(0, len(single), CHUNK_ROWS)
        )
        return
    for each in wanted:
        yield from (
            store.decode(first, min(first + CHUNK_ROWS, each.stop), decoder)
            for first in range(each.start, each.stop, CHUNK_ROWS)
        )


@dataclass(frozen=True)
class PackResult(Done):
    """What was written."""

    path: Path
    store: Path
    size: int

    def to_json(self) -> dict[str, Any]:
        """For --json."""
        return {"path": str(self.path), "store": str(self.store), "bytes": self.size}

    def to_text(self) -> str:
        """For a terminal."""
        return f"{self.store} packed into one file of {self.size:,} bytes\n  {self.path}"


def pack_folder(folder: Path, out: Path) -> PackResult:
    """Pack a store into one HDF5 file, which must not be there yet."""
    if out.suffix.lower() not in (".h5", ".hdf5"):
        raise UsageError(f"--out must end in .h5. Got '{out}' instead.")
    if out.exists():
        raise UsageError(f"{out}: exists; name another file with --out")
    return PackResult(out, folder, pack_store(folder, out))


def decoder_of(store: Store) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """The function from latents (n, k) to rows (n, *row_shape) in data units that the store carries."""
    return decoder_from_files(store.decoder_files()).decode_exactly


def parse_rows(text: str, n_rows: int) -> list[range]:
    """Ranges of rows from 'A:B', 'A:', ':B', 'A', or several of them with commas between.

    Raises UsageError.
    """
    ranges = (
        [range(n_rows)] if not text else [_parse_range(part, n_rows) for part in text.split(",")]
    )
    if not all(0 <= each.start <= each.stop <= n_rows for each in ranges):
        raise UsageError(
            f"--rows must look like 0:100 or 3,17,40:50 and lie within the store's {n_rows:,} rows. Got '{text}' instead."
        )
    return ranges


def _parse_range(text: str, n_rows: int) -> range:
    match = re.fullmatch(r"(\d*)(:?)(\d*)", text.strip())
    if not match or not match[0]:
        return range(-1, -1)
    start = int(match[1] or 0)
    return range(start, int(match[3] or n_rows) if match[2] else start + 1)
