"""A latent store: a folder of shards with a manifest and the decoder. It alone restores the data.

manifest.json           shards with row ranges and figures, scale, schema and digest of the source,
                        SHA-256 of every file
shard-00000.h5 …        or .parquet: latents, and rows kept exactly
rows-00000.h5 …         errors and ids
values-00000.h5 …       what decoding reads if an error bound was set
columns-00000.parquet … columns that are no numbers
latents.h5              all HDF5 shards as one dataset
model/                  the decoder
size_report.json, size_report.html, run.json
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.codecs.blocks import codec_of, decode_block
from storage.codecs.bounded import LATENTS
from storage.codecs.grid import restore_types
from storage.errors import DamagedError, SourceError
from storage.files.atomic import write_bytes
from storage.files.manifest import NAME, Json, digest_files, sealed_bytes
from storage.latents.archive import Files
from storage.latents.exact_columns import ColumnsReader, columns_from_json, entity_keys
from storage.latents.plan import StorePlan
from storage.latents.scale import Scale
from storage.latents.shard import (
    BlocksReader,
    LatentsDecoder,
    LatentsReader,
    ShardRows,
    near_runs,
    rows_as_read,
)

MODEL = "model"
OPEN_FILES = 8  # of latents, and as many of values
AnyDecoder = LatentsDecoder | None  # None where decoding reads no latents


def write_decoder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of the decoder into a store."""
    for name, content in files.items():
        write_bytes(folder / MODEL / name, content)


def write_store_manifest(folder: Path, manifest: Json) -> None:
    """Write the manifest with the digests of the files as they are now."""
    write_bytes(folder / NAME, sealed_bytes({**manifest, "files": digest_files(folder)}))


class _Closable(Protocol):
    def close(self) -> None: ...


R = TypeVar("R", bound=_Closable)


class _OpenReaders(Generic[R]):
    """Readers by shard, kept open; the least recently used are closed."""

    def __init__(self, open_reader: Callable[[int], R]) -> None:
        self._open = open_reader
        self._readers: OrderedDict[int, R] = OrderedDict()

    def __getitem__(self, index: int) -> R:
        if index not in self._readers:
            self._readers[index] = self._open(index)
        self._readers.move_to_end(index)
        if len(self._readers) > OPEN_FILES:
            self._readers.popitem(last=False)[1].close()
        return self._readers[index]

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()


@dataclass(frozen=True)
class _Span:
    """The rows [first, last) of a shard, counted inside it."""

    shard: Json
    first: int
    last: int

    @property
    def index(self) -> int:
        return int(self.shard["index"])


class Store:
    """A finished latent store, read shard by shard; files stay open until it is exited."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._files = folder, Files(folder)
        self.manifest = self._files.manifest()
        self.columns = columns_from_json(self.manifest["source"])
        self.schema = self.columns.values
        self.scale = Scale.from_json(self.manifest["scale"])
        self.n_rows: int = self.manifest["rows"]
        self.latent_dim: int = self.manifest["latent_dim"]
        self._plan = StorePlan(
            format=self.manifest["format"],
            scale=self.scale,
            columns=self.columns,
            latent_dim=self.latent_dim,
        )
        self._row_size = int(np.prod(self.schema.row_shape, dtype=np.int64))
        self._latent_readers = _OpenReaders[LatentsReader](self._open_latents)
        self._block_readers = _OpenReaders[BlocksReader](self._open_blocks)
        self._column_readers = _OpenReaders[ColumnsReader](self._open_columns)
        self._last_block: tuple[tuple[int, int], NDArray[np.generic]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._latent_readers.close()
        self._block_readers.close()
        self._column_readers.close()

    def parts(self, start: int, stop: int) -> Iterator[ShardRows]:
        """Yield the latents of the rows [start, stop), one part per shard, in order."""
        for span in self._spans(start, stop):
            yield self._latents(span)

    def latents(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return the latents (stop - start, k) of the rows [start, stop)."""
        empty = np.empty((0, self.latent_dim), np.float32)
        parts = [part.latents(self.scale) for part in self.parts(start, stop)]
        return np.concatenate([empty, *parts])

    def errors(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return the reconstruction errors (stop - start,) of the rows [start, stop)."""
        parts = [
            self._plan.read_rows(self._files, span.index, span.first, span.last)[0]
            for span in self._spans(start, stop)
        ]
        return np.concatenate([np.empty(0, np.float32), *parts])

    def highest(self, n: int) -> NDArray[np.int64]:
        """Return the rows with the n largest reconstruction errors, descending; ties by row."""
        errors = self.errors(0, self.n_rows)
        return np.lexsort((np.arange(len(errors)), -errors))[:n]

    def decode(self, start: int, stop: int, decoder: AnyDecoder) -> NDArray[np.generic]:
        """Return the rows [start, stop) in the source's dtype.

        decoder: the store's. Rows that the store keeps exactly are exact.
        """
        empty = np.empty((0, *self.schema.row_shape), self.schema.dtype)
        parts = [
            self._decode(span, decoder).reshape(-1, *self.schema.row_shape)
            for span in self._spans(start, stop)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate([empty, *parts])

    def take(self, wanted: NDArray[np.int64], decoder: AnyDecoder) -> NDArray[np.generic]:
        """Return the rows with the numbers `wanted`, in any order; near rows are read together."""
        found = np.empty((len(wanted), *self.schema.row_shape), self.schema.dtype)
        for places in near_runs(wanted):
            numbers = wanted[places]
            first, last = int(numbers[0]), int(numbers[-1])
            found[places] = self.decode(first, last + 1, decoder)[numbers - first]
        return found

    def exact_columns(self, start: int, stop: int) -> pa.Table:
        """Return the columns that the store keeps exactly, of the rows [start, stop)."""
        parts = [
            self._column_readers[span.index].read(span.first, span.last)
            for span in self._spans(start, stop)
        ]
        exact = self.columns.exact or pa.schema([])
        return pa.concat_tables([exact.empty_table(), *parts])

    def take_exact_columns(self, wanted: NDArray[np.int64]) -> pa.Table:
        """Return `exact_columns` of the rows with the numbers `wanted`, in any order."""
        runs = [*near_runs(wanted)]
        parts = [self.exact_columns(0, 0)]
        for numbers in (wanted[places] for places in runs):
            first, last = int(numbers[0]), int(numbers[-1])
            parts.append(self.exact_columns(first, last + 1).take(numbers - first))
        return pa.concat_tables(parts).unify_dictionaries().take(np.argsort(np.concatenate(runs)))

    def decoder_files(self) -> dict[str, bytes]:
        """Return the files of the decoder, checked against their digests."""
        prefix = f"{MODEL}/"
        listed: dict[str, str] = self.manifest["files"]
        names = [name for name in listed if name.startswith(prefix)]
        return {name.removeprefix(prefix): self._checked(name, listed[name]) for name in names}

    def _checked(self, name: str, digest: str) -> bytes:
        content = self._files.read(name)
        if hashlib.sha256(content).hexdigest() != digest:
            raise DamagedError(
                f"{self.folder / name}: does not match its checksum; "
                "restore the store from a copy or encode again"
            )
        return content

    def _open_latents(self, index: int) -> LatentsReader:
        if self._plan.path(Path(), index).name not in self.manifest["files"]:
            raise SourceError(
                f"{self.folder}: holds no latents, since decoding within its bound needs none; "
                "encode again with encode.keep_latents = true"
            )
        return self._plan.open(self._files, index)

    def _open_blocks(self, index: int) -> BlocksReader:
        return self._plan.open_values(self._files, index)

    def _open_columns(self, index: int) -> ColumnsReader:
        return self._plan.open_columns(self._files, index)

    def _spans(self, start: int, stop: int) -> Iterator[_Span]:
        """Yield the part of each shard that holds rows of [start, stop)."""
        for shard in self.manifest["shards"]:
            first, last = max(start, shard["start"]), min(stop, shard["stop"])
            if first < last:
                yield _Span(shard, first - shard["start"], last - shard["start"])

    def _latents(self, span: _Span) -> ShardRows:
        part = self._latent_readers[span.index].read(span.first, span.last)
        expected = (span.last - span.first, self.latent_dim)
        if part.codes.shape != expected:
            raise DamagedError(
                f"{self.folder / span.shard['file']}: {part.codes.shape} latents, "
                f"the manifest says {expected}; delete the store and run 'encode' again"
            )
        return part

    def _decode(self, span: _Span, decoder: AnyDecoder) -> NDArray[np.generic]:
        """Return the rows of a span, from its latents or from blocks."""
        if set(span.shard["codecs"]) <= {LATENTS}:
            return self._decode_latents(span, decoder)
        sizes = self._block_readers[span.index].rows
        ends = np.cumsum(sizes).tolist()
        pieces = []
        for index, (size, end) in enumerate(zip(sizes, ends, strict=True)):
            start = end - size
            if start < span.last and end > span.first:
                rows = self._decode_block(index, _Span(span.shard, start, end), decoder)
                pieces.append(rows[max(0, span.first - start) : span.last - start])
        return np.concatenate(pieces)

    def _decode_latents(self, span: _Span, decoder: AnyDecoder) -> NDArray[np.generic]:
        """Return the rows of a span in the source's dtype, with the rows kept exactly."""
        assert decoder is not None, "a store with latents has a decoder"
        part = self._latents(span)
        rows = rows_as_read(decoder, part.latents(self.scale), self.schema, self._keys(span))
        part.restore_gaps(rows)
        rows[part.exact_rows] = part.exact_values.reshape(-1, self._row_size)
        return rows

    def _keys(self, span: _Span) -> NDArray[np.float64] | None:
        """Return the keys (n,) of the entities of a span; None without entities."""
        if not self.columns.entity:
            return None
        exact = self._column_readers[span.index].read(span.first, span.last)
        return entity_keys(exact.to_batches(), self.columns, exact.num_rows)

    def _decode_block(self, index: int, span: _Span, decoder: AnyDecoder) -> NDArray[np.generic]:
        """Return the rows (n, d) of one block; the last one stays in memory for the next row."""
        key = span.index, index
        if self._last_block is None or self._last_block[0] != key:
            block = self._block_readers[span.index].block(index)
            self._last_block = key, self._rows_of_block(block, span, decoder)
        return self._last_block[1]

    def _rows_of_block(self, block: bytes, span: _Span, decoder: AnyDecoder) -> NDArray[np.generic]:
        if not block:
            return self._decode_latents(span, decoder)
        predicted = None
        if codec_of(block) == "residual":
            latents = self._latents(span).latents(self.scale)
            assert decoder is not None, "a store with latents has a decoder"
            exact = decoder.decode_exactly(latents, self._keys(span))
            predicted = exact.reshape(-1, self._row_size)
        rows = decode_block(block, self._row_size, self.schema.dtype, predicted)
        return restore_types(rows, self.schema.types)


def open_store(folder: Path) -> Store:
    """Open a latent store.

    Raises NoDataError if there is none, DamagedError, FormatVersionError.
    """
    return Store(folder)
