"""A latent store: a folder of shards with a manifest and the decoder, so that the data come back from it alone.

manifest.json   shards with row ranges and figures, scale, source schema and digest, SHA-256 of every file
shard-00000.h5 … or .parquet            latents.h5: all HDF5 shards as one dataset          (latents, rows kept exactly)
rows-00000.h5 … errors, ids             values-00000.h5 …: what decoding reads where an error bound was asked for
model/          the decoder             size_report.json, size_report.html          run.json
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from storage.codecs.blocks import codec_of, decode_block
from storage.codecs.grid import to_dtype
from storage.errors import DamagedError
from storage.files.atomic import write_bytes
from storage.files.manifest import NAME, digest_files, parse_manifest, read_manifest, sealed_bytes
from storage.latents import hdf5
from storage.latents.archive import Files
from storage.latents.plan import EncodedShard, StorePlan
from storage.latents.scale import Scale
from storage.latents.shard import ShardRows
from storage.sources.source import Schema

MODEL = "model"
OPEN_FILES = 16
NEAR = 64  # rows apart that are read in one piece
TOGETHER = 8_192  # rows of one piece
Decode = Callable[[NDArray[np.float32]], NDArray[np.float64]]


def write_decoder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Put the decoder into the store."""
    for name, content in files.items():
        write_bytes(folder / MODEL / name, content)


def write_store_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest with the digests of the files as they are now."""
    write_bytes(folder / "manifest.json", sealed_bytes({**manifest, "files": digest_files(folder)}))


class Store:
    """A finished latent store, read shard by shard; files stay open until it is left."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._files = folder, Files(folder)
        packed = self._files.packed
        self.manifest = (
            parse_manifest(self._files.read(NAME), folder, "latents")
            if packed
            else read_manifest(folder, "latents")
        )
        source = self.manifest["source"]
        self.schema = Schema(tuple(source["row_shape"]), source["dtype"], tuple(source["columns"]))
        self.scale = Scale.of_facts(self.manifest["scale"])
        self.n_rows: int = self.manifest["rows"]
        self.latent_dim: int = self.manifest["latent_dim"]
        self._plan = StorePlan(
            format=self.manifest["format"],
            scale=self.scale,
            schema=self.schema,
            latent_dim=self.latent_dim,
        )
        self._readers: OrderedDict[tuple[str, int], Any] = OrderedDict()
        self._block: tuple[tuple[int, int], NDArray[Any]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()

    def parts(self, start: int, stop: int) -> Iterator[ShardRows]:
        """The latents of the rows [start, stop) as one part a shard, in order."""
        for shard, first, last in self._shards(start, stop):
            yield self._latents(shard, first, last)

    def latents(self, start: int, stop: int) -> NDArray[np.float32]:
        """Latents (stop - start, k) of the rows [start, stop)."""
        empty = np.empty((0, self.latent_dim), np.float32)
        return np.concatenate(
            [empty, *(part.latents(self.scale) for part in self.parts(start, stop))]
        )

    def errors(self, start: int, stop: int) -> NDArray[np.float32]:
        """Reconstruction errors (stop - start,) of the rows [start, stop)."""
        found = (
            self._plan.read_rows(self._files, shard["index"], first, last)[0]
            for shard, first, last in self._shards(start, stop)
        )
        return np.concatenate([np.empty(0, np.float32), *found])

    def highest(self, n: int) -> NDArray[np.int64]:
        """The rows with the n largest reconstruction errors, the largest first; ties rank by row."""
        errors = self.errors(0, self.n_rows)
        return np.lexsort((np.arange(len(errors)), -errors))[:n]

    def decode(self, start: int, stop: int, decode: Decode) -> NDArray[Any]:
        """The rows [start, stop) in the source's dtype.

        Decoded by `decode`, which gives data units, and exact where they were kept.
        """
        empty = np.empty((0, *self.schema.row_shape), self.schema.dtype)
        found = [
            self._decode(shard, first, last, decode).reshape(-1, *self.schema.row_shape)
            for shard, first, last in self._shards(start, stop)
        ]
        return found[0] if len(found) == 1 else np.concatenate([empty, *found])

    def take(self, wanted: NDArray[np.int64], decode: Decode) -> NDArray[Any]:
        """The rows with these numbers, in any order, each run of near ones read once."""
        found = np.empty((len(wanted), *self.schema.row_shape), self.schema.dtype)
        order = np.argsort(wanted, kind="stable")
        for places in np.split(order, np.flatnonzero(np.diff(wanted[order]) > NEAR) + 1):
            for start in range(0, len(places), TOGETHER):
                some = places[start : start + TOGETHER]
                if len(some):
                    first = int(wanted[some[0]])
                    found[some] = self.decode(first, int(wanted[some[-1]]) + 1, decode)[
                        wanted[some] - first
                    ]
        return found

    def decoder_files(self) -> dict[str, bytes]:
        """The files of the decoder, checked against their digests."""
        listed = {
            name: digest
            for name, digest in self.manifest["files"].items()
            if name.startswith(f"{MODEL}/")
        }
        found = {name.removeprefix(f"{MODEL}/"): self._files.read(name) for name in listed}
        for name, digest in listed.items():
            if hashlib.sha256(found[name.removeprefix(f"{MODEL}/")]).hexdigest() != digest:
                raise DamagedError(
                    f"{self.folder / name}: does not match its checksum; restore the store from a copy or encode again"
                )
        return found

    def _shards(self, start: int, stop: int) -> Iterator[tuple[dict[str, Any], int, int]]:
        """Each shard with rows of [start, stop), and which of its rows they are, counted inside it."""
        for shard in self.manifest["shards"]:
            first, last = max(start, shard["start"]), min(stop, shard["stop"])
            if first < last:
                yield shard, first - shard["start"], last - shard["start"]

    def _reader(self, kind: str, index: int) -> Any:
        """The reader of a shard's latents or values, opened once and kept while it is in use."""
        if (kind, index) not in self._readers:
            self._readers[kind, index] = (
                self._plan.open if kind == "shard" else self._plan.open_values
            )(self._files, index)
            if len(self._readers) > OPEN_FILES:
                self._readers.popitem(last=False)[1].close()
        self._readers.move_to_end((kind, index))
        return self._readers[kind, index]

    def _latents(self, shard: Mapping[str, Any], first: int, last: int) -> ShardRows:
        part: ShardRows = self._reader("shard", shard["index"]).read(first, last)
        if part.codes.shape != (last - first, self.latent_dim):
            raise DamagedError(
                f"{self.folder / shard['file']}: {part.codes.shape} latents, the manifest says {(last - first, self.latent_dim)}; "
                "delete the store and run 'encode' again"
            )
        return part

    def _decode(
        self, shard: Mapping[str, Any], first: int, last: int, decode: Decode
    ) -> NDArray[Any]:
        """Rows of one shard: through its latents, or block by block where it has values."""
        if not set(shard.get("codecs", {})) - {"latents"}:
            return decode_part(
                self._latents(shard, first, last), self.scale, decode, self.schema.dtype
            )
        reader = self._reader("values", shard["index"])
        ends = np.concatenate([[0], np.cumsum(reader.rows)])
        wanted = [
            index
            for index in range(len(reader.rows))
            if ends[index] < last and ends[index + 1] > first
        ]
        pieces = []
        for index in wanted:
            rows = self._decode_block(shard, index, int(ends[index]), int(ends[index + 1]), decode)
            pieces.append(rows[max(0, first - int(ends[index])) : last - int(ends[index])])
        return np.concatenate(pieces)

    def _decode_block(
        self, shard: Mapping[str, Any], index: int, first: int, last: int, decode: Decode
    ) -> NDArray[Any]:
        """The rows of one block, (n, d).

        The last one is kept, since who reads a row often reads its neighbours.
        """
        if self._block is None or self._block[0] != (shard["index"], index):
            block = self._reader("values", shard["index"]).block(index)
            size = int(np.prod(self.schema.row_shape, dtype=np.int64))
            if not block:
                rows = decode_part(
                    self._latents(shard, first, last), self.scale, decode, self.schema.dtype
                ).reshape(-1, size)
            else:
                predicted = (
                    decode(self._latents(shard, first, last).latents(self.scale))
                    if codec_of(block) == "residual"
                    else None
                )
                rows = decode_block(
                    block,
                    size,
                    self.schema.dtype,
                    None if predicted is None else predicted.reshape(-1, size),
                )
            self._block = (shard["index"], index), rows
        return self._block[1]


def open_store(folder: Path) -> Store:
    """Open a latent store.

    Raises NoDataError where there is none, DamagedError, FormatVersionError.
    """
    return Store(folder)


def decode_part(part: ShardRows, scale: Scale, decode: Decode, dtype: str) -> NDArray[Any]:
    """Rows of a part in the source's dtype, with those kept exactly put back."""
    rows = to_dtype(decode(part.latents(scale)), dtype)
    rows[part.exact_rows] = part.exact_values
    return rows


def finish_files(folder: Path, plan: StorePlan, shards: Sequence[EncodedShard]) -> None:
    """Write what stands beside the shards: for HDF5 the virtual dataset over all of them."""
    if plan.format == "hdf5":
        names = [
            (
                plan.path(Path(), each.index).name,
                plan.path(Path(), each.index, "rows").name,
                each.start,
                each.stop,
            )
            for each in shards
        ]
        hdf5.write_virtual(folder, names, plan.scale, plan.latent_dim)
