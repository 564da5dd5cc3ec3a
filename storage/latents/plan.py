"""What all shards of a latent store share, what is known of each, and the manifest made of both."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.codecs.bounded import Blocks, BoundedPlan
from storage.files.atomic import sha256_file, write_beside, write_bytes, write_json
from storage.files.manifest import NEWEST
from storage.latents import hdf5, parquet
from storage.latents.archive import Files
from storage.latents.scale import Scale
from storage.latents.shard import ShardRows
from storage.sources.source import Schema, Shard

FORMATS: Mapping[str, ModuleType] = {"hdf5": hdf5, "parquet": parquet}
STORE = "store"  # in a work folder: the store as it grows; beside it, what only serves to go on
PLAN_NOTE = "plan"
UNLISTED = ("files", "loss")  # facts of a shard that the manifest leaves out


@dataclass(frozen=True, kw_only=True)
class StorePlan:
    """What all shards of a store share."""

    format: str
    scale: Scale
    schema: Schema
    latent_dim: int
    bounded: BoundedPlan | None = None

    def path(self, folder: Path, index: int, kind: str = "shard") -> Path:
        """A file of a shard: 'shard' (latents), 'rows' (errors and ids) or 'values'."""
        return folder / f"{kind}-{index:05d}{FORMATS[self.format].SUFFIX}"

    def write(self, folder: Path, index: int, rows: ShardRows) -> None:
        """Write the latents of one shard, whole or not at all."""
        with write_beside(self.path(folder, index)) as beside:
            FORMATS[self.format].write_shard(beside, rows, self.scale)

    def write_rows(
        self, folder: Path, index: int, errors: NDArray[np.float32], ids: NDArray[Any] | None
    ) -> None:
        """Write what stands beside the rows."""
        with write_beside(self.path(folder, index, "rows")) as beside:
            FORMATS[self.format].write_rows(beside, errors, ids)

    def write_values(self, folder: Path, index: int, blocks: Blocks) -> None:
        """Write the blocks of one shard, where they are needed."""
        if blocks.needed:
            with write_beside(self.path(folder, index, "values")) as beside:
                FORMATS[self.format].write_values(beside, blocks.blocks, blocks.rows)

    def files(self, folder: Path, index: int) -> list[Path]:
        """The files of a shard that are there."""
        return [
            path
            for kind in ("shard", "rows", "values")
            if (path := self.path(folder, index, kind)).exists()
        ]

    def open(self, files: Files, index: int) -> Any:
        """A reader of the latents of one shard."""
        path = self.path(files.place, index)
        return FORMATS[self.format].ShardReader(
            path, files.open(path.name), self.schema.row_shape, self.schema.dtype
        )

    def open_values(self, files: Files, index: int) -> Any:
        """A reader of the blocks of one shard."""
        path = self.path(files.place, index, "values")
        return FORMATS[self.format].ValuesReader(path, files.open(path.name))

    def read(self, files: Files, index: int, start: int, stop: int) -> ShardRows:
        """Latents [start, stop) of one shard, counted inside it."""
        reader = self.open(files, index)
        try:
            rows: ShardRows = reader.read(start, stop)
        finally:
            reader.close()
        return rows

    def read_rows(
        self, files: Files, index: int, start: int, stop: int
    ) -> tuple[NDArray[np.float32], NDArray[Any] | None]:
        """Errors and ids [start, stop) of one shard.

        Stores of format_version 1 have them beside the latents.
        """
        beside = self.path(files.place, index, "rows")
        path = beside if files.has(beside.name) else self.path(files.place, index)
        found: tuple[NDArray[np.float32], NDArray[Any] | None] = FORMATS[self.format].read_rows(
            path, files.open(path.name), start, stop
        )
        return found


@dataclass(frozen=True, kw_only=True)
class EncodedShard:
    """What the manifest says of a shard; all figures are of what was read back and decoded.

    bytes_out: what decoding reads of it. squared: sum of squared differences in data units; values:
    how many they are; largest_error: the largest difference. mean_error: mean reconstruction error
    in scaled units. low, high: smallest and largest value of the source.
    codecs: rows by the codec that holds the bound. files: SHA-256 of the shard's files; loss: see
    `storage.latents.loss`.
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
    codecs: Mapping[str, int]
    digest: str
    files: Mapping[str, str]
    loss: Mapping[str, Any]


def facts_path(work: Path, index: int) -> Path:
    """The note that a shard of the store in `work` is done."""
    return work / f"shard-{index:05d}.json"


def shard_done(plan: StorePlan, work: Path, shard: Shard) -> EncodedShard | None:
    """The facts of a shard that an earlier run finished, or None where it must be done (again)."""
    note = facts_path(work, shard.index)
    if not note.exists():
        return None
    facts = EncodedShard(**json.loads(note.read_text(encoding="utf-8")))
    whole = facts.files == {
        path.name: sha256_file(path) for path in plan.files(work / STORE, shard.index)
    }
    return facts if whole and (facts.start, facts.stop) == (shard.start, shard.stop) else None


def note_done(work: Path, facts: EncodedShard) -> None:
    """Say that a shard is done."""
    write_json(facts_path(work, facts.index), asdict(facts))


def keep_same_plan(work: Path, plan: StorePlan, decoder: Mapping[str, bytes]) -> None:
    """Remove what an earlier run left in `work` half written or under another plan.

    Shards of two plans never stand in one store.
    """
    for unfinished in work.rglob(".*.tmp"):  # of a run that was killed as it wrote
        unfinished.unlink()
    digest = hashlib.sha256(
        json.dumps(
            [plan.format, plan.scale.to_json(), plan.bounded.to_json() if plan.bounded else {}]
        ).encode()
    )
    for name in sorted(decoder):
        digest.update(decoder[name])
    note = work / PLAN_NOTE
    if not note.exists() or note.read_text(encoding="utf-8") != digest.hexdigest():
        for path in work.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        write_bytes(note, digest.hexdigest().encode())


def store_manifest(
    plan: StorePlan,
    shards: Sequence[EncodedShard],
    *,
    model_id: str,
    digest: str,
    settings: Mapping[str, Any],
    files: Mapping[str, str],
) -> dict[str, Any]:
    """The manifest of a store whose files have the digests `files`."""
    return {
        "kind": "latents",
        "format_version": NEWEST["latents"],
        "model_id": model_id,
        "format": plan.format,
        "rows": shards[-1].stop if shards else 0,
        "latent_dim": plan.latent_dim,
        "scale": plan.scale.to_json(),
        **(plan.bounded.to_json() if plan.bounded else {}),
        "settings": dict(settings),
        "source": {**asdict(plan.schema), "digest": digest},
        "shards": [shard_entry(plan, facts) for facts in shards],
        "files": dict(files),
    }


def shard_entry(plan: StorePlan, facts: EncodedShard) -> dict[str, Any]:
    """A shard as the manifest lists it."""
    listed = {key: value for key, value in asdict(facts).items() if key not in UNLISTED}
    return {"file": plan.path(Path(), facts.index).name, **listed}
