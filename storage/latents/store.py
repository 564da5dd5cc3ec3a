"""A latent store: a folder of shards with a manifest and the decoder, so that the data come back from it alone.

manifest.json   shards with row ranges and figures, scale, source schema and digest, SHA-256 of every file
shard-00000.h5 … or .parquet            latents.h5: all HDF5 shards as one dataset
model/          the decoder             size_report.json, size_report.html          run.json
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from storage.atomic import sha256_file, sync_file, write_beside, write_bytes, write_json
from storage.errors import DamagedError
from storage.latents import hdf5, parquet
from storage.latents.quantise import Scale
from storage.latents.shard import ShardRows
from storage.manifest import digest_files, read_manifest, sealed_bytes
from storage.sources.source import Schema, Shard

FORMAT_VERSION = 1
FORMATS: Mapping[str, ModuleType] = {"hdf5": hdf5, "parquet": parquet}
MODEL = "model"
Decode = Callable[[NDArray[np.float32]], NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class StorePlan:
    """What all shards of a store share."""

    format: str
    scale: Scale
    schema: Schema
    latent_dim: int

    def path(self, folder: Path, index: int) -> Path:
        """The file of a shard."""
        return folder / f"shard-{index:05d}{FORMATS[self.format].SUFFIX}"

    def write(self, folder: Path, index: int, rows: ShardRows) -> None:
        """Write one shard, whole or not at all."""
        with write_beside(self.path(folder, index)) as beside:
            FORMATS[self.format].write_shard(beside, rows, self.scale)

    def read(self, folder: Path, index: int, start: int, stop: int) -> ShardRows:
        """Rows [start, stop) of one shard, counted inside it."""
        rows: ShardRows = FORMATS[self.format].read_shard(self.path(folder, index), self.schema.row_shape, self.schema.dtype, start, stop)
        return rows


@dataclass(frozen=True, kw_only=True)
class ShardFacts:
    """What the manifest says of a shard; all figures are of what was read back and decoded.

    squared: sum of squared differences in data units; values: how many they are; largest_error: the largest difference.
    mean_error: mean reconstruction error in scaled units. low, high: smallest and largest value of the source.
    """

    index: int
    start: int
    stop: int
    bytes_in: int
    bytes_out: int
    largest_error: float
    mean_error: float
    squared: float
    values: int
    low: float
    high: float
    exact_rows: int
    exact_bytes: int
    outside_values: int
    lossless_sample_in: int
    lossless_sample_out: int
    digest: str
    sha256: str


def facts_path(work: Path, index: int) -> Path:
    """The note that a shard in the work folder is done; it is hidden, and does not belong to the store."""
    return work / f".shard-{index:05d}.json"


def shard_done(plan: StorePlan, work: Path, shard: Shard) -> ShardFacts | None:
    """The facts of a shard that an earlier run finished, or None where it must be done (again)."""
    note, path = facts_path(work, shard.index), plan.path(work, shard.index)
    if not note.exists() or not path.exists():
        return None
    facts = ShardFacts(**json.loads(note.read_text(encoding="utf-8")))
    return facts if facts.sha256 == sha256_file(path) and (facts.start, facts.stop) == (shard.start, shard.stop) else None


def note_done(work: Path, facts: ShardFacts) -> None:
    """Say that a shard is done."""
    write_json(facts_path(work, facts.index), asdict(facts))


def store_manifest(
    plan: StorePlan, shards: Sequence[ShardFacts], *, model_id: str, digest: str, settings: Mapping[str, Any], files: Mapping[str, str]
) -> dict[str, Any]:
    """The manifest of a store whose files have the digests `files`."""
    scale = {"precision": plan.scale.precision}
    limits = {"low": plan.scale.low.tolist(), "high": plan.scale.high.tolist()} if plan.scale.precision == "int8" else {}
    return {
        "kind": "latents",
        "format_version": FORMAT_VERSION,
        "model_id": model_id,
        "format": plan.format,
        "rows": shards[-1].stop if shards else 0,
        "latent_dim": plan.latent_dim,
        "scale": {**scale, **limits},
        "settings": dict(settings),
        "source": {**asdict(plan.schema), "digest": digest},
        "shards": [{"file": plan.path(Path(), facts.index).name, **asdict(facts)} for facts in shards],
        "files": dict(files),
    }


def write_decoder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Put the decoder into the store."""
    for name, content in files.items():
        write_bytes(folder / MODEL / name, content)


def write_store_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest with the digests of the files as they are now."""
    write_bytes(folder / "manifest.json", sealed_bytes({**manifest, "files": digest_files(folder)}))


def remove_notes(work: Path) -> None:
    """Remove what only served resuming."""
    for note in work.glob(".shard-*"):
        note.unlink()


class Store:
    """A finished latent store, read shard by shard."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder, "latents", newest=FORMAT_VERSION)
        source, scale = self.manifest["source"], self.manifest["scale"]
        self.schema = Schema(tuple(source["row_shape"]), source["dtype"], tuple(source["columns"]))
        low, high = (np.array(scale.get(name, []), np.float32) for name in ("low", "high"))
        self.scale = Scale(scale["precision"], low, high)
        self.n_rows: int = self.manifest["rows"]
        self.latent_dim: int = self.manifest["latent_dim"]
        self._plan = StorePlan(format=self.manifest["format"], scale=self.scale, schema=self.schema, latent_dim=self.latent_dim)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def parts(self, start: int, stop: int) -> Iterator[ShardRows]:
        """The rows [start, stop) as one part a shard, in order."""
        for shard in self.manifest["shards"]:
            first, last = max(start, shard["start"]), min(stop, shard["stop"])
            if first < last:
                part = self._plan.read(self.folder, shard["index"], first - shard["start"], last - shard["start"])
                if part.codes.shape != (last - first, self.latent_dim):
                    raise DamagedError(
                        f"{self.folder / shard['file']}: {part.codes.shape} latents, the manifest says {(last - first, self.latent_dim)}; "
                        "delete the store and run 'encode' again"
                    )
                yield part

    def latents(self, start: int, stop: int) -> NDArray[np.float32]:
        """Latents (stop - start, k) of the rows [start, stop)."""
        empty = np.empty((0, self.latent_dim), np.float32)
        return np.concatenate([empty, *(part.latents(self.scale) for part in self.parts(start, stop))])

    def errors(self, start: int, stop: int) -> NDArray[np.float32]:
        """Reconstruction errors (stop - start,) of the rows [start, stop)."""
        return np.concatenate([np.empty(0, np.float32), *(part.errors for part in self.parts(start, stop))])

    def decode(self, start: int, stop: int, decode: Decode) -> NDArray[Any]:
        """The rows [start, stop) in the source's dtype: decoded, and exact where they were kept."""
        empty = np.empty((0, *self.schema.row_shape), self.schema.dtype)
        return np.concatenate([empty, *(decode_part(part, self.scale, decode) for part in self.parts(start, stop))])

    def decoder_files(self) -> dict[str, bytes]:
        """The files of the decoder, checked against their digests."""
        found = {path.name: path for path in sorted((self.folder / MODEL).glob("decoder.*"))}
        for name, path in found.items():
            if sha256_file(path) != self.manifest["files"].get(f"{MODEL}/{name}"):
                raise DamagedError(f"{path}: does not match its checksum; restore the store from a copy or encode again")
        return {name: path.read_bytes() for name, path in found.items()}


def open_store(folder: Path) -> Store:
    """Open a latent store. Raises NoDataError where there is none, DamagedError, FormatVersionError."""
    return Store(folder)


def decode_part(part: ShardRows, scale: Scale, decode: Decode) -> NDArray[Any]:
    """Rows of a part in the source's dtype, with those kept exactly put back."""
    rows = decode(part.latents(scale))
    rows[part.exact_rows] = part.exact_values
    return rows


def finish_files(folder: Path, plan: StorePlan, shards: Sequence[ShardFacts]) -> None:
    """Write what stands beside the shards: for HDF5 the virtual dataset over all of them."""
    if plan.format == "hdf5":
        names = [(plan.path(Path(), facts.index).name, facts.start, facts.stop) for facts in shards]
        hdf5.write_virtual(folder, names, plan.scale, plan.latent_dim)
        sync_file(folder / "latents.h5")
