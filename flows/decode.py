"""decode: the data back from a latent store alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from aemodel.bundle import decoder_from_files
from flows.errors import UsageError
from storage.latents import Store, open_store, write_decoded

CHUNK_ROWS = 8_192


@dataclass(frozen=True)
class DecodeResult:
    """What was written."""

    path: Path
    store: Path
    rows: int

    def facts(self) -> dict[str, Any]:
        """For --json."""
        return {"path": str(self.path), "store": str(self.store), "rows": self.rows}

    def words(self) -> str:
        """For a terminal."""
        return f"{self.rows:,} rows decoded from {self.store}\n  {self.path}"


def decode_store(folder: Path, out: Path, *, rows: str = "") -> DecodeResult:
    """Decode the rows 'A:B' of a store (all rows where `rows` is empty) into a .npy, .h5 or .parquet file."""
    with open_store(folder) as store:
        start, stop = parse_rows(rows, store.n_rows)
        decoder = decoder_of(store)
        pieces = (store.decode(first, min(first + CHUNK_ROWS, stop), decoder) for first in range(start, stop, CHUNK_ROWS))
        write_decoded(out, pieces, store.schema, n_rows=stop - start)
    return DecodeResult(out, folder, stop - start)


def decoder_of(store: Store) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """The function from latents (n, k) to rows (n, *row_shape) in data units that the store carries."""
    return decoder_from_files(store.decoder_files()).decode_exactly


def parse_rows(text: str, n_rows: int) -> tuple[int, int]:
    """First row and the row after the last one, from 'A:B', 'A:' or ':B'. Raises UsageError."""
    if not text:
        return 0, n_rows
    match = re.fullmatch(r"(\d*):(\d*)", text)
    start, stop = (int(match[1] or 0), int(match[2] or n_rows)) if match else (1, 0)
    if not 0 <= start <= stop <= n_rows:
        raise UsageError(f"--rows must look like 0:100 and lie within the store's {n_rows:,} rows. Got '{text}' instead.")
    return start, stop
