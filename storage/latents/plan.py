"""What all shards of a latent store share, the notes on finished shards, and the manifest."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.codecs.bounded import Blocks, BoundedPlan
from storage.files.atomic import sha256_file, write_beside, write_bytes, write_json
from storage.files.manifest import FORMAT_VERSIONS, Json
from storage.latents import exact_columns, hdf5, parquet
from storage.latents.archive import Files
from storage.latents.exact_columns import ColumnsReader, columns_to_json
from storage.latents.loss import LossJson
from storage.latents.scale import Scale
from storage.latents.shard import BlocksReader, LatentsReader, ShardRows
from storage.sources.columns.schema import Schema, StoredColumns
from storage.sources.shards import Shard

FORMATS: Mapping[str, ModuleType] = {"hdf5": hdf5, "parquet": parquet}
STORE = "store"  # in a work folder: the store as it grows; next to it, what only a resume needs
PLAN_NOTE = "plan"
KINDS = ("shard", "rows", "values", "columns")  # files of a shard
NOT_IN_MANIFEST = ("files", "loss")  # facts of a shard


@dataclass(frozen=True, kw_only=True)
class StorePlan:
    """What all shards of a store share. columns: what is kept as values, and what exactly."""

    format: str
    scale: Scale
    columns: StoredColumns
    latent_dim: int
    bounded: BoundedPlan | None = None

    @property
    def schema(self) -> Schema:
        """The values of a row."""
        return self.columns.values

    def path(self, folder: Path, index: int, kind: str = "shard") -> Path:
        """Return a file of a shard: 'shard' (latents), or another of KINDS."""
        of_kind = exact_columns if kind == "columns" else FORMATS[self.format]
        return folder / f"{kind}-{index:05d}{of_kind.SUFFIX}"

    def write(self, folder: Path, index: int, rows: ShardRows) -> None:
        """Write the latents of one shard, whole or not at all."""
        with write_beside(self.path(folder, index)) as beside:
            FORMATS[self.format].write_shard(beside, rows, self.scale)

    def write_rows(
        self,
        folder: Path,
        index: int,
        errors: NDArray[np.float32],
        ids: NDArray[np.generic] | None,
    ) -> None:
        """Write the errors and ids of one shard."""
        with write_beside(self.path(folder, index, "rows")) as beside:
            FORMATS[self.format].write_errors_and_ids(beside, errors, ids)

    def write_values(self, folder: Path, index: int, blocks: Blocks) -> None:
        """Write the blocks of one shard, if they are needed."""
        if blocks.needed:
            with write_beside(self.path(folder, index, "values")) as beside:
                FORMATS[self.format].write_values(beside, blocks.blocks, blocks.rows)

    def write_columns(self, folder: Path, index: int, columns: pa.Table) -> None:
        """Write the exact columns of one shard."""
        with write_beside(self.path(folder, index, "columns")) as beside:
            exact_columns.write_columns(beside, columns)

    def files(self, folder: Path, index: int) -> list[Path]:
        """Return the files of a shard that exist."""
        paths = [self.path(folder, index, kind) for kind in KINDS]
        return [path for path in paths if path.exists()]

    def open(self, files: Files, index: int) -> LatentsReader:
        """Open the latents of one shard."""
        path = self.path(files.place, index)
        reader: LatentsReader = FORMATS[self.format].ShardReader(
            path, files.open(path.name), self.schema.row_shape, self.schema.dtype
        )
        return reader

    def open_values(self, files: Files, index: int) -> BlocksReader:
        """Open the blocks of one shard."""
        path = self.path(files.place, index, "values")
        reader: BlocksReader = FORMATS[self.format].ValuesReader(path, files.open(path.name))
        return reader

    def open_columns(self, files: Files, index: int) -> ColumnsReader:
        """Open the exact columns of one shard."""
        path = self.path(files.place, index, "columns")
        assert self.columns.exact is not None, "a store without exact columns has no such file"
        return ColumnsReader(path, files.open(path.name), self.columns.exact)

    def read(self, files: Files, index: int, start: int, stop: int) -> ShardRows:
        """Return the latents [start, stop) of one shard, counted inside it."""
        reader = self.open(files, index)
        try:
            return reader.read(start, stop)
        finally:
            reader.close()

    def read_columns(self, files: Files, index: int, stop: int) -> pa.Table:
        """Return the exact columns of the first rows, up to `stop`, of one shard."""
        reader = self.open_columns(files, index)
        try:
            return reader.read(0, stop)
        finally:
            reader.close()

    def read_rows(
        self, files: Files, index: int, start: int, stop: int
    ) -> tuple[NDArray[np.float32], NDArray[np.generic] | None]:
        """Return the errors and ids [start, stop) of one shard, counted inside it."""
        path = self.path(files.place, index, "rows")
        found: tuple[NDArray[np.float32], NDArray[np.generic] | None]
        found = FORMATS[self.format].read_errors_and_ids(path, files.open(path.name), start, stop)
        return found


@dataclass(frozen=True, kw_only=True)
class EncodedShard:
    """What the manifest lists of a shard; all figures are of what was read back and decoded.

    bytes_out: bytes that decoding reads. norm: root of the sum of squared differences in data
    units over `values` values. largest_error: the largest difference. mean_error: mean
    reconstruction error in scaled units. low, high: smallest and largest value of the source, None
    without any. codecs: rows by the codec that holds the bound. files: SHA-256 of the shard's
    files.
    """

    index: int
    start: int
    stop: int
    bytes_in: int
    bytes_out: int
    largest_error: float
    mean_error: float
    norm: float
    values: int
    low: float | None
    high: float | None
    exact_rows: int
    exact_bytes: int
    outside_values: int
    lossless_sample_in: int
    lossless_sample_out: int
    codecs: Mapping[str, int]
    digest: str
    files: Mapping[str, str]
    loss: LossJson


def _note_path(work: Path, index: int) -> Path:
    return work / f"shard-{index:05d}.json"


def shard_done(plan: StorePlan, work: Path, shard: Shard) -> EncodedShard | None:
    """Return the facts of a shard that an earlier run finished, or None if it must be encoded."""
    note = _note_path(work, shard.index)
    if not note.exists():
        return None
    facts = EncodedShard(**json.loads(note.read_text(encoding="utf-8")))
    files = plan.files(work / STORE, shard.index)
    whole = facts.files == {path.name: sha256_file(path) for path in files}
    return facts if whole and (facts.start, facts.stop) == (shard.start, shard.stop) else None


def note_done(work: Path, facts: EncodedShard) -> None:
    """Record that a shard is finished."""
    write_json(_note_path(work, facts.index), asdict(facts))


def keep_same_plan(work: Path, plan: StorePlan, decoder: Mapping[str, bytes]) -> None:
    """Remove what an earlier run left in `work` half written or under another plan.

    A store never mixes shards of two plans.
    """
    for unfinished in work.rglob(".*.tmp"):  # of a run that was killed while writing
        unfinished.unlink()
    note, digest = work / PLAN_NOTE, _plan_digest(plan, decoder)
    if note.exists() and note.read_text(encoding="utf-8") == digest:
        return
    for path in work.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    write_bytes(note, digest.encode())


def _plan_digest(plan: StorePlan, decoder: Mapping[str, bytes]) -> str:
    bounded = plan.bounded.to_json() if plan.bounded else {}
    facts = json.dumps([plan.format, plan.scale.to_json(), bounded])
    digest = hashlib.sha256(facts.encode())
    for name in sorted(decoder):
        digest.update(decoder[name])
    return digest.hexdigest()


def finish_files(folder: Path, plan: StorePlan, shards: Sequence[EncodedShard]) -> None:
    """Write latents.h5, the virtual dataset over all HDF5 shards, if all have latents."""
    complete = all(plan.path(folder, facts.index).exists() for facts in shards)
    if plan.format != "hdf5" or not complete:
        return
    parts = [
        hdf5.VirtualPart(
            latents_file=plan.path(Path(), facts.index).name,
            errors_file=plan.path(Path(), facts.index, "rows").name,
            start=facts.start,
            stop=facts.stop,
        )
        for facts in shards
    ]
    hdf5.write_virtual(folder, parts, plan.scale, plan.latent_dim)


def store_manifest(
    plan: StorePlan,
    shards: Sequence[EncodedShard],
    *,
    model_id: str,
    digest: str,
    settings: Mapping[str, object],
) -> Json:
    """Return the manifest of a store, without the digests of its files.

    digest: of the source's rows.
    """
    return {
        "kind": "latents",
        "format_version": FORMAT_VERSIONS["latents"],
        "model_id": model_id,
        "format": plan.format,
        "rows": shards[-1].stop if shards else 0,
        "latent_dim": plan.latent_dim,
        "scale": plan.scale.to_json(),
        **(plan.bounded.to_json() if plan.bounded else {}),
        "settings": dict(settings),
        "source": {**columns_to_json(plan.columns), "digest": digest},
        "shards": [_shard_entry(plan, facts) for facts in shards],
    }


def _shard_entry(plan: StorePlan, facts: EncodedShard) -> Json:
    entry = {"file": plan.path(Path(), facts.index).name, **asdict(facts)}
    for name in NOT_IN_MANIFEST:
        del entry[name]
    return entry
