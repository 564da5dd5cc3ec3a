"""decode and pack: read the data back from a latent store alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aemodel.decoder_files import decoder_from_files
from flows.encoding.place import require_local
from flows.engine.progress import counting_for, part, rows_done
from flows.engine.progress_bars import progress_shown
from flows.errors import UsageError
from flows.results import Done
from storage.latents import Store, open_store, write_decoded, write_decoded_table
from storage.latents.archive import pack_store
from storage.latents.export import TablePieces
from storage.latents.shard import LatentsDecoder
from storage.objects.reach import reached

CHUNK_ROWS = 8_192
CHUNK_BYTES = 64 << 20
Piece = range | NDArray[np.int64]  # row numbers


@dataclass(frozen=True)
class DecodeResult(Done):
    """The written file, the store it was decoded from, and the number of rows."""

    path: Path
    store: Path
    rows: int

    def to_json(self) -> dict[str, object]:
        """For --json."""
        return {"path": str(self.path), "store": str(self.store), "rows": self.rows}

    def to_text(self) -> str:
        """For a terminal."""
        return f"{self.rows:,} rows decoded from {self.store}\n  {self.path}"


def decode_store(folder: Path, out: Path, *, rows: str = "") -> DecodeResult:
    """Decode rows of a store into a .npy, .h5 or .parquet file.

    A store with columns that are no numbers is decoded into .parquet. rows: see `parse_rows`.
    """
    folder, out = reached(folder), require_local(out)
    with open_store(folder) as store:
        ranges = parse_rows(rows, store.n_rows)
        n_rows = sum(map(len, ranges))
        with progress_shown(), part("decoding", n_rows) as running, counting_for(running):
            if store.columns.exact is None:
                write_decoded(out, decoded_pieces(store, ranges), store.schema, n_rows=n_rows)
            else:
                write_decoded_table(out, _decoded_tables(store, ranges), store.columns)
    return DecodeResult(out, folder, n_rows)


def decoded_pieces(store: Store, ranges: Sequence[range]) -> Iterator[NDArray[np.generic]]:
    """Yield the rows of all ranges, in order, in pieces of at most CHUNK_ROWS rows."""
    decoder = decoder_of(store)
    for piece in _pieces(ranges, _piece_rows(store)):
        yield _decoded(store, piece, decoder)
        rows_done(len(piece))


def _decoded_tables(store: Store, ranges: Sequence[range]) -> TablePieces:
    """Yield what `decoded_pieces` does, with the columns that the store keeps exactly."""
    decoder = decoder_of(store)
    for piece in _pieces(ranges, _piece_rows(store)):
        if isinstance(piece, range):
            exact = store.exact_columns(piece.start, piece.stop)
        else:
            exact = store.take_exact_columns(piece)
        yield _decoded(store, piece, decoder), exact
        rows_done(len(piece))


def _decoded(store: Store, piece: Piece, decoder: LatentsDecoder | None) -> NDArray[np.generic]:
    if isinstance(piece, range):
        return store.decode(piece.start, piece.stop, decoder)
    return store.take(piece, decoder)


def _pieces(ranges: Sequence[range], step: int) -> Iterator[Piece]:
    """Yield all rows in pieces of at most `step`; single rows, to be looked up many at a time."""
    if all(len(each) == 1 for each in ranges):
        wanted = np.array([each.start for each in ranges], np.int64)
        yield from (wanted[first : first + step] for first in range(0, len(wanted), step))
        return
    for each in ranges:
        yield from (each[first : first + step] for first in range(0, len(each), step))


def _piece_rows(store: Store) -> int:
    """Rows of a piece of at most CHUNK_BYTES: a power of two, as the chunks of the output."""
    rows = max(1, min(CHUNK_ROWS, CHUNK_BYTES // store.schema.row_bytes))
    return 1 << (rows.bit_length() - 1)


@dataclass(frozen=True)
class PackResult(Done):
    """The written file, the store it was packed from, and its bytes."""

    path: Path
    store: Path
    size: int

    def to_json(self) -> dict[str, object]:
        """For --json."""
        return {"path": str(self.path), "store": str(self.store), "bytes": self.size}

    def to_text(self) -> str:
        """For a terminal."""
        return f"{self.store} packed into one file of {self.size:,} bytes\n  {self.path}"


def pack_folder(folder: Path, out: Path) -> PackResult:
    """Pack a store into one new HDF5 file. Raises UsageError if the file exists."""
    folder, out = reached(folder), require_local(out)
    if out.suffix.lower() not in (".h5", ".hdf5"):
        raise UsageError(f"--out must end in .h5. Got '{out}' instead.")
    if out.exists():
        raise UsageError(f"{out}: exists; name another file with --out")
    return PackResult(out, folder, pack_store(folder, out))


def decoder_of(store: Store) -> LatentsDecoder | None:
    """The store's decoder; None if rows are read without latents."""
    files = store.decoder_files()
    return decoder_from_files(files) if files else None


def parse_rows(text: str, n_rows: int) -> list[range]:
    """Ranges of rows from a text such as 'A:B', 'A:', ':B', 'A', or several with commas between.

    An empty text means all rows. Raises UsageError.
    """
    if not text:
        return [range(n_rows)]
    ranges = [_parse_range(part, n_rows) for part in text.split(",")]
    if not all(0 <= each.start <= each.stop <= n_rows for each in ranges):
        raise UsageError(
            "--rows must look like 0:100 or 3,17,40:50 and lie within the store's "
            f"{n_rows:,} rows. Got '{text}' instead."
        )
    return ranges


def _parse_range(text: str, n_rows: int) -> range:
    """One range; a text that is not a range gives one outside every store."""
    match = re.fullmatch(r"(\d*)(:?)(\d*)", text.strip())
    if not match or not match[0]:
        return range(-1, -1)
    start = int(match[1] or 0)
    return range(start, int(match[3] or n_rows) if match[2] else start + 1)
