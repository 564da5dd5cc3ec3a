"""encode: rows into a latent store, shard by shard.

Every shard is read back, decoded and measured before it counts.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aemodel.model import Autoencoder
from flows.encoding.plan import Planned, plan_store
from flows.encoding.shard import ShardEncoder
from flows.engine.disk_space import require_space, store_bytes
from flows.engine.run_all import RunAll
from flows.engine.run_record import RunRecord
from flows.engine.shard_job import run_shards
from flows.engine.shard_tasks import rows_per_chunk
from flows.errors import UsageError, WorkFailed
from flows.jobs.inputs import open_rows, rows_of
from flows.jobs.requests import EncodeRequest
from flows.jobs.settings import Job
from flows.jobs.workspace import near, open_workspace
from flows.results import Done
from flows.training.load_model import load_model
from storage.errors import SourceError
from storage.files.atomic import publish_folder, refusals, write_json
from storage.files.locks import lock
from storage.files.manifest import require_whole
from storage.latents import EncodedShard
from storage.latents.plan import STORE, keep_same_plan, store_manifest
from storage.latents.size_report import write_size_report
from storage.latents.store import finish_files, write_decoder, write_store_manifest
from storage.sources import Schema, Shard, Source, check_schema, combine_digests, plan_shards

log = logging.getLogger(__name__)
SAMPLED_SHARDS = 4  # shards of which a piece is compressed without loss, to compare with
WAIT = 5.0  # seconds for another encoder of the same store


@dataclass(frozen=True)
class EncodeResult(Done):
    """Where the store is, its size report, and whether it had to be written."""

    path: Path
    report: dict[str, Any]
    written: bool
    shards: tuple[EncodedShard, ...]

    def to_json(self) -> dict[str, Any]:
        """For --json."""
        return {"path": str(self.path), "written": self.written, "report": self.report}

    def to_text(self) -> str:
        """For a terminal."""
        size, ratio, loss = self.report["bytes"], self.report["ratio"], self.report["loss"]
        first = (
            "Latent store written" if self.written else "Nothing new: this store is already there"
        )
        return (
            f"{first}: {self.report['rows']:,} rows, {size['store']:,} bytes, all counted\n"
            f"  ratio {ratio['source']:.3g} against the source, {ratio['float32']:.3g} against float32, {ratio['lossless']:.3g} against its lossless form\n"
            f"  RMSE {loss['rmse']:.4g}, largest error {loss['largest']:.4g}; range {loss['range']:.4g}{self._bound()}\n"
            f"  {near(self.path / 'size_report.html')}"
        )

    def _bound(self) -> str:
        """The bound and how it was held, where one was asked for."""
        bound = self.report["bound"]
        if not bound:
            return ""
        asked = ", ".join(f"{name} = {value:.6g}" for name, value in bound["asked"].items())
        return (
            f"\n  {asked}: held on all {bound['values']:,} values, by {', '.join(bound['codecs'])}"
        )


def encode_rows(job: Job, request: EncodeRequest, *, run_all: RunAll, device: str) -> EncodeResult:
    """Write the latent store of the rows that `source` or `date` name (the clean rows where neither does).

    A store of the same input, model and settings that was interrupted goes on where it stopped; one that is finished stays as it is.
    """
    workspace, facts = open_workspace(job), RunRecord.begin()
    model_id, model = load_model(workspace, device=device)
    with open_rows(
        job, rows_of(job, source=request.source, date=request.date), model.layout.columns
    ) as opened:
        check_schema(
            opened, Schema(model.layout.row_shape, model.layout.dtype, model.layout.columns)
        )
        name = store_name(opened, job, model_id, request.date)
        final = Path(request.out) if request.out else workspace.latents / name
        with lock(workspace.lock(f"encode-{name}"), wait=WAIT):
            work = workspace.work(f"encode-{name}")
            if final.exists():
                found = existing_store(final, name)
                shutil.rmtree(
                    work, ignore_errors=True
                )  # of a run that was killed after its store was published
                return found
            with refusals(work):
                work.mkdir(parents=True, exist_ok=True)
            planned_shards = plan_shards(opened, job.shard_bytes)
            planned = plan_store(job, model, opened, planned_shards)
            keep_same_plan(work, planned.plan, planned.files)
            require_space(
                work,
                store_bytes(opened, planned.plan, keep_exact=job.encode.keep_exact),
                final=final,
            )
            shards = encode_shards(job, model, planned, opened, planned_shards, work, run_all)
            if store_name(opened, job, model_id, request.date) != name:
                raise SourceError(
                    f"{opened.path}: changed while it was read; run 'encode' again once it is complete"
                )
            return publish_store(
                job,
                model_id,
                model,
                planned,
                opened,
                shards,
                work=work,
                final=final,
                facts=facts,
                name=name,
            )


def store_name(source: Source, job: Job, model_id: str, date: str) -> str:
    """A store's folder: what was encoded, and a hash of input, model and settings."""
    key = json.dumps([source.fingerprint(), model_id, asdict(job.encode), job.shard_bytes])
    stem = (
        date or re.sub(r"[^A-Za-z0-9]+", "-", source.path.name.split(".")[0]).strip("-") or "rows"
    )
    return f"{stem}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def existing_store(folder: Path, name: str) -> EncodeResult:
    """The result for a store that is already there.

    Raises UsageError where the folder holds something else, DamagedError.
    """
    try:
        report = json.loads((folder / "size_report.json").read_text(encoding="utf-8"))
        same = json.loads((folder / "run.json").read_text(encoding="utf-8"))["name"] == name
    except (OSError, ValueError, KeyError):
        same = False
    if not same:
        raise UsageError(
            f"{folder}: exists, and is not the store of this input, model and settings; name another folder with --out"
        )
    require_whole(folder)
    return EncodeResult(folder, report, written=False, shards=())


def encode_shards(
    job: Job,
    model: Autoencoder,
    planned: Planned,
    source: Source,
    shards: Sequence[Shard],
    work: Path,
    run_all: RunAll,
) -> list[EncodedShard]:
    """Encode all shards that are not done yet; return the facts of all, in order.

    Raises WorkFailed naming those that failed.
    """
    max_rows = rows_per_chunk(source, job.memory_bytes, batch=model.size)
    encoder = ShardEncoder(
        planned.plan,
        model,
        planned.decoder,
        source,
        work,
        job.encode.keep_exact,
        max_rows,
        sampled(shards),
    )
    notes, failed = run_shards(encoder, shards, run_all)
    if failed:
        told = [
            f"shards {each.shards[0].index} to {each.shards[-1].index}: {each.error}"
            for each in failed
        ]
        raise WorkFailed(
            f"{len(failed)} tasks failed: {'; '.join(told)}; finished shards are kept; rerun to resume"
        )
    return notes


def sampled(shards: Sequence[Shard]) -> set[int]:
    """Indices of the shards that the lossless form is measured on: a few, evenly spaced."""
    return (
        {int(index) for index in np.linspace(0, len(shards) - 1, min(SAMPLED_SHARDS, len(shards)))}
        if shards
        else set()
    )


def publish_store(
    job: Job,
    model_id: str,
    model: Autoencoder,
    planned: Planned,
    source: Source,
    shards: Sequence[EncodedShard],
    *,
    work: Path,
    final: Path,
    facts: RunRecord,
    name: str,
) -> EncodeResult:
    """Write what stands beside the shards, then rename the whole folder into place."""
    plan, store = planned.plan, work / STORE
    finish_files(store, plan, shards)
    write_decoder(store, planned.files)
    digest = combine_digests([each.digest for each in shards])
    manifest = store_manifest(
        plan, shards, model_id=model_id, digest=digest, settings=asdict(job.encode)
    )
    report = write_size_report(
        store, manifest, shards, plan, [asdict(point) for point in planned.curve]
    )
    write_store_manifest(store, manifest)
    read = {
        "path": str(source.path.resolve()),
        "field": job.data.field,
        "columns": list(model.layout.columns),
        "id": job.data.id,
    }
    write_json(
        store / "run.json",
        facts.finish(
            command="encode",
            name=name,
            source={**read, "missing": job.data.missing},
            device=model.device,
        ),
    )
    publish_folder(store, final)
    shutil.rmtree(work, ignore_errors=True)
    return EncodeResult(final, report.to_json(), written=True, shards=tuple(shards))
