"""encode: write rows into a latent store, shard by shard.

Every shard is read back, decoded and measured before it counts as finished.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from aemodel.model import Autoencoder
from flows.encoding.place import is_taken, publish_store, recorded_name
from flows.encoding.plan import Planned, plan_store
from flows.encoding.shard import ShardEncoder
from flows.engine.disk_space import bytes_below, require_space, store_bytes
from flows.engine.run_all import RunAll
from flows.engine.run_record import RunRecord
from flows.engine.shard_job import run_shards
from flows.engine.shard_tasks import rows_per_chunk
from flows.errors import UsageError, WorkFailed
from flows.jobs.inputs import check_layout, open_input
from flows.jobs.requests import EncodeRequest
from flows.jobs.settings import Job
from flows.jobs.workspace import near, open_workspace
from flows.results import Done
from flows.training.load_model import load_model
from storage.codecs.bounded import reads_latents
from storage.errors import SourceError
from storage.files.atomic import refusals, write_json
from storage.files.locks import lock
from storage.files.manifest import NAME, require_whole
from storage.latents import EncodedShard
from storage.latents.plan import STORE, finish_files, keep_same_plan, store_manifest
from storage.latents.size_report import write_size_report
from storage.latents.store import write_decoder, write_store_manifest
from storage.objects.paths import ObjectPath, located
from storage.sources import Shard, Source, combine_digests, plan_shards
from storage.text import list_first

log = logging.getLogger(__name__)
SAMPLED_SHARDS = 4  # shards with a sample that is also compressed losslessly, for comparison
MEASURED = {"all": 1, "sample": 16}  # of so many rows, one is decoded and compared
MOST_STEM = 100  # letters of a source's name in its store's name
WAIT = 5.0  # seconds to wait for another encoder of the same store


@dataclass(frozen=True)
class EncodeResult(Done):
    """The folder or prefix of a store, its size report, and whether this run wrote it.

    shards: facts of every shard, empty if the store existed before.
    """

    path: Path
    report: Mapping[str, Any]  # size_report.json
    written: bool
    shards: tuple[EncodedShard, ...]

    def to_json(self) -> dict[str, object]:
        """For --json."""
        return {
            "path": str(self.path),
            "written": self.written,
            "bytes_on_disk": bytes_below(self.path),
            "report": self.report,
        }

    def to_text(self) -> str:
        """For a terminal."""
        report = self.report
        size, ratio, loss = report["bytes"], report["ratio"], report["loss"]
        first = "Latent store written" if self.written else "Up to date: store already exists"
        return (
            f"{first}: {report['rows']:,} rows, {size['store']:,} bytes to decode, "
            f"{bytes_below(self.path):,} on disk\n"
            f"  compression ratio {ratio['source']:.3g} vs. the source, "
            f"{ratio['float32']:.3g} vs. float32, "
            f"{ratio['lossless']:.3g} vs. lossless compression\n"
            f"  RMSE {loss['rmse']:.4g}, largest error {loss['largest']:.4g}; "
            f"range {loss['range']:.4g}{self._sample()}{self._bound()}\n"
            f"  {near(self.path / 'size_report.html')}"
        )

    def _sample(self) -> str:
        """On how many rows the loss was measured; '' if on all."""
        measured = self.report["loss"]["rows"]
        return "" if measured == self.report["rows"] else f"; measured on {measured:,} rows"

    def _bound(self) -> str:
        """The requested bound and the codecs that hold it; '' without a bound."""
        bound = self.report["bound"]
        if not bound:
            return ""
        asked = ", ".join(f"{name} = {value:.6g}" for name, value in bound["asked"].items())
        codecs = ", ".join(bound["codecs"])
        return f"\n  {asked}: held on all {bound['values']:,} values, by {codecs}"


@dataclass(frozen=True, kw_only=True)
class StoreRun:
    """One run of `encode` for one store.

    name: see `store_name`. date: the data date, or ''. work: the folder in which the store grows.
    final: the folder into which it is renamed, or the prefix below which it is copied.
    """

    job: Job
    model_id: str
    model: Autoencoder
    source: Source
    name: str
    date: str
    work: Path
    final: Path
    record: RunRecord


def encode_rows(job: Job, request: EncodeRequest, *, run_all: RunAll, device: str) -> EncodeResult:
    """Write the latent store of the rows that `request` names; by default the clean rows.

    An interrupted store of the same input, model and settings is resumed; a finished one is kept.
    """
    workspace, record = open_workspace(job), RunRecord.begin()
    model_id, model = load_model(workspace, device=device)
    with open_input(job, model.layout, source=request.source, date=request.date) as source:
        check_layout(source, model.layout)
        source.exact = True
        name = store_name(source, job, model_id, request.date)
        run = StoreRun(
            job=job,
            model_id=model_id,
            model=_for_columns(model, source),
            source=source,
            name=name,
            date=request.date,
            work=workspace.work(f"encode-{name}"),
            final=_final_place(job, request.out) or workspace.latents / name,
            record=record,
        )
        with lock(workspace.lock(f"encode-{name}"), wait=WAIT):
            taken = is_taken(run.final, name)
            return _existing_result(run) if taken else _write_store(run, run_all)


def _final_place(job: Job, out: str) -> Path | None:
    """The path of --out; None without one."""
    return located(out, endpoint=job.endpoint) if out else None


def _for_columns(model: Autoencoder, source: Source) -> Autoencoder:
    """The model with a decoder of what a store keeps as values. Raises UsageError if none."""
    columns = source.stored_columns
    if columns.exact is not None and not columns.places:
        raise UsageError(
            f"{source.path}: expected a column of integers or floats, since latents stand for such "
            f"columns only, got {list_first(list(columns.names))}; "
            "keep this table as Parquet with zstd instead"
        )
    return replace(model, decoded=columns.places)


def store_name(source: Source, job: Job, model_id: str, date: str) -> str:
    """A store's folder name: what is encoded, and a hash of input, model and settings."""
    facts = [source.fingerprint(), model_id, asdict(job.encode), job.data.shard_bytes]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    stem = re.sub(r"[^A-Za-z0-9]+", "-", source.path.name.split(".")[0])[:MOST_STEM].strip("-")
    return f"{date or stem or 'rows'}-{digest[:8]}"


def _existing_result(run: StoreRun) -> EncodeResult:
    result = existing_store(run.final, run.name)
    # left behind if a run was killed right after it published its store
    shutil.rmtree(run.work, ignore_errors=True)
    return result


def existing_store(folder: Path, name: str) -> EncodeResult:
    """The result for a store that already exists.

    Raises UsageError if the folder contains anything else, DamagedError if the store is damaged.
    """
    if recorded_name(folder) != name or not (folder / NAME).is_file():
        raise UsageError(
            f"{folder}: exists, and is not the store of this input, model and settings; "
            "name another folder with --out"
        )
    require_whole(folder)
    report = json.loads((folder / "size_report.json").read_bytes())
    return EncodeResult(folder, report, written=False, shards=())


def _write_store(run: StoreRun, run_all: RunAll) -> EncodeResult:
    with refusals(run.work):
        run.work.mkdir(parents=True, exist_ok=True)
    shards = plan_shards(run.source, run.job.data.shard_bytes)
    planned = plan_store(run.job, run.model, run.source, shards)
    keep_same_plan(run.work, planned.plan, planned.files)
    needed = store_bytes(run.source, planned.plan, keep_exact=run.job.encode.keep_exact)
    local = None if isinstance(run.final, ObjectPath) else run.final
    require_space(run.work, needed, final=local)
    encoded = encode_shards(run, planned, shards, run_all)
    if store_name(run.source, run.job, run.model_id, run.date) != run.name:
        raise SourceError(
            f"{run.source.path}: changed while it was read; rerun 'encode' once it is complete"
        )
    return finish_store(run, planned, encoded)


def encode_shards(
    run: StoreRun, planned: Planned, shards: Sequence[Shard], run_all: RunAll
) -> list[EncodedShard]:
    """Encode all unfinished shards; return the facts of all shards, in order.

    Raises WorkFailed naming the shards that failed.
    """
    encoder = ShardEncoder(
        plan=planned.plan,
        model=run.model,
        decoder=planned.decoder,
        source=run.source,
        work=run.work,
        keep_exact=run.job.encode.keep_exact,
        keep_latents=run.job.encode.keep_latents,
        max_rows=rows_per_chunk(run.source, run.job.score.memory, batch=run.model.size),
        measured=MEASURED[run.job.encode.measure],
        sampled=sampled(shards),
    )
    notes, failed = run_shards(encoder, shards, run_all)
    if failed:
        reasons = "; ".join(
            f"shards {each.shards[0].index} to {each.shards[-1].index}: {each.error}"
            for each in failed
        )
        raise WorkFailed(
            f"{len(failed)} tasks failed: {reasons}; finished shards are kept; rerun to resume"
        )
    return notes


def sampled(shards: Sequence[Shard]) -> set[int]:
    """Indices of the shards to sample for lossless compression: a few, evenly spaced."""
    if not shards:
        return set()
    spaced = np.linspace(0, len(shards) - 1, min(SAMPLED_SHARDS, len(shards)))
    return {int(index) for index in spaced}


def finish_store(run: StoreRun, planned: Planned, shards: Sequence[EncodedShard]) -> EncodeResult:
    """Write the files beside the shards, then publish the whole store."""
    plan, store = planned.plan, run.work / STORE
    finish_files(store, plan, shards)
    if run.job.encode.keep_latents or any(reads_latents(each.codecs) for each in shards):
        write_decoder(store, planned.files)
    manifest = store_manifest(
        plan,
        shards,
        model_id=run.model_id,
        digest=combine_digests([each.digest for each in shards]),
        settings=asdict(run.job.encode),
    )
    curve = [asdict(point) for point in planned.curve]
    report = write_size_report(store, manifest, shards, plan, curve)
    write_store_manifest(store, manifest)
    write_json(store / "run.json", _run_facts(run))
    publish_store(store, run.final)
    shutil.rmtree(run.work, ignore_errors=True)
    return EncodeResult(run.final, report.to_json(), written=True, shards=tuple(shards))


def _run_facts(run: StoreRun) -> dict[str, object]:
    """The content of run.json; `source` says how to read the same rows again."""
    data = run.job.data
    source = {
        "path": str(run.source.path.resolve()),
        "field": data.field,
        "columns": list(run.model.layout.columns),
        "id": data.id,
        "missing": data.missing,
    }
    return run.record.finish(
        command="encode", name=run.name, source=source, device=run.model.device
    )
