"""Latents as they are stored, single rows of them, and the speed of encode and decode beside what bounds it."""

from __future__ import annotations

import functools
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from store_runs import NARROW, Job, Rows

from aemodel.model import Autoencoder
from flows.encoding.decode import decode_store
from flows.encoding.encode import encode_rows
from flows.encoding.plan import Planned, plan_store
from flows.encoding.precision import wide_range
from flows.engine.run_all import run_in_threads
from flows.jobs.job_file import read_job
from flows.jobs.propose import propose_job
from flows.jobs.requests import EncodeRequest
from flows.jobs.workspace import open_workspace
from flows.training.load_model import load_model
from storage.codecs.blocks import decode_block
from storage.codecs.bounded import block_rows
from storage.latents import Blocks, Scale, ShardRows, StorePlan
from storage.latents.archive import Files
from storage.sources import Schema, open_source, plan_shards

SPEED_ROWS = 4_000_000
SOME = 262_144  # rows that a part is timed on alone


def synthetic_latents(n: int, k: int) -> NDArray[np.float32]:
    """A mixture of 12 clusters with correlated dimensions of unequal scale."""
    random = np.random.default_rng(0)
    centers, mix = random.normal(size=(12, k)) * 2, random.normal(size=(k, k))
    scales = np.exp(random.normal(size=k) / 2)
    return (
        (centers[random.integers(12, size=n)] + random.normal(size=(n, k)) @ mix / k**0.5) * scales
    ).astype(np.float32)


def latents(kept: Rows, only: Iterable[str]) -> None:
    """A million rows of 16 latents in both formats."""
    kept.begin(
        "Default latents: 1,000,000 x 16, int8 codes, and one random row of them (median of 300, file open; by the clock, and of the processor)"
    )
    for form in ("hdf5", "parquet"):
        if not only or form in only:
            kept.add("latents", form, lambda form=form: _latents(form))


def _latents(form: str) -> dict[str, str]:
    values = synthetic_latents(1_000_000, 16)
    low, high = wide_range(
        *np.quantile(values, [0.0005, 0.9995], axis=0).astype(np.float32), values[:30_000]
    )
    with tempfile.TemporaryDirectory() as folder:
        plan = StorePlan(
            format=form,
            scale=Scale("int8", low, high),
            schema=Schema((16,), "float32"),
            latent_dim=16,
        )
        rows = ShardRows.of(
            plan.scale, values, np.empty(0, np.int64), np.empty((0, 16), np.float32)
        )
        plan.write(Path(folder), 0, rows)
        reader = plan.open(Files(Path(folder)), 0)
        wanted = np.random.default_rng(1).integers(0, len(values), 300)
        times = np.array(
            [both_clocks(lambda row=int(row): reader.read(row, row + 1)) for row in wanted]
        )
        reader.close()
        size = plan.path(Path(folder), 0).stat().st_size
    worst = np.abs(rows.latents(plan.scale) - values).max(axis=0) / np.ptp(values, axis=0)
    return {
        "format": form,
        "ratio": f"**{values.nbytes / size:.3f}**",
        "largest error / range": f"{worst.max():.2e}",
        "one row, ms": f"{1e3 * np.median(times[:, 0]):.2f}",
        "processor, ms": f"{1e3 * np.median(times[:, 1]):.2f}",
    }


def speed(kept: Rows, only: list[str]) -> None:
    """Rows near a plane in 64 dimensions; `only` may name another number of them."""
    n = int(only[0]) if only else SPEED_ROWS
    kept.begin(
        f"{n:,} x 64 float32: MB/s of input and second of the processor (run with OMP_NUM_THREADS=1), the parts alone on the first {SOME:,} rows"
    )
    with tempfile.TemporaryDirectory() as folder:
        rows = write_rows_near_a_plane(Path(folder) / "rows.npy", n)
        small = NARROW.replace("[16]", "[32]").replace("latent = 4", "latent = 8")
        for network, text in (
            ("64-32-8-32-64", small),
            ("as init writes it", proposed_model(rows[:20_000])),
        ):
            job = Job(np.array(rows[:20_000]), text)
            for asked in (("format=hdf5",), ("format=parquet",), ("max_error_relative=1e-2",)):
                measure = functools.partial(
                    _speed, network, job, Path(folder) / "rows.npy", rows, asked
                )
                kept.add("speed", f"{n}, {network}, {', '.join(asked)}", measure)


def proposed_model(rows: NDArray[np.float32]) -> str:
    """The sections [model] and [train] that `nightglass init` writes for these rows."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "clean.npy", rows)
        text = propose_job(str(Path(folder) / "clean.npy"), field="").text
    return text[text.index("[model]") : text.index("[score]")]


def write_rows_near_a_plane(path: Path, n: int) -> NDArray[np.float32]:
    """Rows (n, 64) in a file, mapped into memory."""
    random = np.random.default_rng(0)
    mix = random.normal(size=(6, 64))
    rows = np.lib.format.open_memmap(path, "w+", np.float32, (n, 64))
    for start in range(0, n, 100_000):
        m = min(100_000, n - start)
        rows[start : start + m] = random.normal(size=(m, 6)) @ mix + 0.05 * random.normal(
            size=(m, 64)
        )
    return rows


def both_clocks(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds that it takes by the clock, and of the processor's time."""
    began = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began[0], time.process_time() - began[1]


def seconds(work: Callable[[], Any]) -> float:
    """Seconds of the processor's time, so that shares hold on a machine where others work too."""
    return both_clocks(work)[1]


def _speed(
    network: str, job: Job, path: Path, rows: NDArray[Any], asked: tuple[str, ...]
) -> dict[str, str]:
    """Encode and decode by the code of the commands, file to file, beside the network and the codec alone."""
    job.train()
    loaded = read_job(job.path, [f"encode.{each}" for each in asked])
    _, model = load_model(open_workspace(loaded), device="cpu")
    some, whole = np.array(rows[:SOME]), rows.nbytes / 1e6
    part = some.nbytes / 1e6
    forward = part / seconds(forward_pass(model, some))
    errors = part / seconds(lambda: model.encode_and_errors(some))
    with open_source(path) as source:
        planned = plan_store(loaded, model, source, plan_shards(source, loaded.data.shard_bytes))
        contest = seconds(
            lambda: plan_store(loaded, model, source, plan_shards(source, loaded.data.shard_bytes))
        )
    write, read = (part / each for each in codec_alone(planned, model, some))
    store = path.with_name("store")
    clock, busy = both_clocks(
        lambda: encode_rows(
            loaded,
            EncodeRequest(job="", source=str(path), out=str(store)),
            run_all=run_in_threads(1),
            device="cpu",
        )
    )
    decode_clock, decode_busy = both_clocks(lambda: decode_store(store, path.with_name("back.npy")))
    shutil.rmtree(store)
    encode, decode, slower = whole / (busy - contest), whole / decode_busy, min(forward, write)
    return {
        "network": network,
        "asked": ", ".join(asked),
        "encode": f"{encode:.1f}",
        "decode": f"{decode:.1f}",
        "the network alone": f"{forward:.0f}",
        "codec's write": f"{write:.1f}",
        "shares of the slower": f"**{encode / slower:.2f}, {decode / slower:.2f}**",
        "network, scaling and errors": f"{errors:.0f}",
        "codec's read": f"{read:.1f}",
        "by the clock, contest included": f"{whole / clock:.1f}, {whole / decode_clock:.1f}",
        "plan and contest, s": f"{contest:.1f}",
    }


def codec_alone(planned: Planned, model: Autoencoder, some: NDArray[Any]) -> tuple[float, float]:
    """Seconds that the store's codec takes to write these rows, and to read them back."""
    stored, plan = model.encode(some), planned.plan
    with tempfile.TemporaryDirectory() as folder:
        if not plan.bounded:
            rows = ShardRows.of(
                plan.scale,
                stored,
                np.empty(0, np.int64),
                np.empty((0, *some.shape[1:]), some.dtype),
            )
            write = seconds(lambda: plan.write(Path(folder), 0, rows))
            return write, seconds(
                lambda: plan.read(Files(Path(folder)), 0, 0, len(some)).latents(plan.scale)
            )
        blocks, height = (
            Blocks(plan.bounded, planned.decoder.decode_exactly),
            block_rows(some.shape[1]),
        )
        pieces = [
            (some[start : start + height], stored[start : start + height])
            for start in range(0, len(some), height)
        ]
        write = seconds(lambda: [blocks.add(*piece, unseen=False) for piece in pieces])
        predicted = [
            planned.decoder.decode_exactly(piece[1]).reshape(piece[0].shape) for piece in pieces
        ]
        read = seconds(
            lambda: [
                decode_block(block, some.shape[1], some.dtype.name, each)
                for block, each in zip(blocks.blocks, predicted, strict=True)
            ]
        )
        return write, read


def forward_pass(model: Autoencoder, some: NDArray[Any]) -> Callable[[], None]:
    """What takes these rows, scaled beforehand, through encoder and decoder as torch does it, in the batches that the commands use."""
    batches = torch.from_numpy(model.scale(some)).split(model.size)

    @torch.inference_mode()
    def work() -> None:
        for batch in batches:
            for member in model.members:
                member(batch)

    return work
