"""Stored latents, random access to single rows, and the speed of encode and decode."""

from __future__ import annotations

import functools
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from proposed import propose_for_rows
from store_runs import NARROW, BenchJob, ResultTables

from aemodel.model import Autoencoder
from flows.encoding.decode import decode_store
from flows.encoding.encode import encode_rows
from flows.encoding.plan import Planned, plan_store
from flows.encoding.precision import wide_range
from flows.engine.run_all import run_in_threads
from flows.jobs.job_file import read_job
from flows.jobs.requests import EncodeRequest
from flows.jobs.settings import Job
from flows.jobs.workspace import open_workspace
from flows.training.load_model import load_model
from storage.codecs.blocks import decode_block
from storage.codecs.bounded import block_rows
from storage.latents import Blocks, Scale, ShardRows, StorePlan
from storage.latents.archive import Files
from storage.sources import Schema, StoredColumns, open_source, plan_shards

SPEED_ROWS = 4_000_000
PART = 262_144  # rows on which single steps are timed
BOUND = "max_error_relative=1e-2"
SETTINGS = ("format=hdf5", "format=parquet", "measure=sample", BOUND, f"{BOUND} speed=fast")
REPEATS = 3  # of single steps, of which the fastest counts


@dataclass(frozen=True)
class Seconds:
    """Wall time and CPU time of a piece of work."""

    wall: float
    cpu: float


def timed(work: Callable[[], object]) -> Seconds:
    """Run `work` and measure it."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of the fastest repeat, so that ratios hold on a loaded machine."""
    return min(timed(work).cpu for _ in range(REPEATS))


def synthetic_latents(n: int, k: int) -> NDArray[np.float32]:
    """Latents (n, k): 12 clusters with correlated dimensions of unequal scale."""
    random = np.random.default_rng(0)
    centers = random.normal(size=(12, k)) * 2
    mix = random.normal(size=(k, k))
    scales = np.exp(random.normal(size=k) / 2)
    means = centers[random.integers(12, size=n)]
    noise = random.normal(size=(n, k)) @ mix / k**0.5
    return ((means + noise) * scales).astype(np.float32)


def latents(results: ResultTables, only: Iterable[str]) -> None:
    """A million rows of 16 latents in both formats."""
    results.begin(
        "Default latents: 1,000,000 x 16, int8 codes, and one random row of them "
        "(median of 300, file open; wall time and CPU time)"
    )
    for form in ("hdf5", "parquet"):
        if not only or form in only:
            results.add("latents", form, functools.partial(_latents, form))


def _latents(form: str) -> dict[str, str]:
    values = synthetic_latents(1_000_000, 16)
    quantiles = np.quantile(values, [0.0005, 0.9995], axis=0).astype(np.float32)
    low, high = wide_range(*quantiles, values[:30_000])
    scale = Scale("int8", low, high)
    columns = StoredColumns(Schema((16,), "float32"))
    plan = StorePlan(format=form, scale=scale, columns=columns, latent_dim=16)
    rows = without_exact_rows(plan, values)
    with tempfile.TemporaryDirectory() as folder:
        plan.write(Path(folder), 0, rows)
        wanted = np.random.default_rng(1).integers(0, len(values), 300)
        times = time_single_rows(plan, Path(folder), wanted)
        size = plan.path(Path(folder), 0).stat().st_size
    worst = np.abs(rows.latents(scale) - values).max(axis=0) / np.ptp(values, axis=0)
    return {
        "format": form,
        "ratio": f"**{values.nbytes / size:.3f}**",
        "largest error / range": f"{worst.max():.2e}",
        "one row, ms": f"{1e3 * np.median([each.wall for each in times]):.2f}",
        "CPU, ms": f"{1e3 * np.median([each.cpu for each in times]):.2f}",
    }


def without_exact_rows(plan: StorePlan, stored: NDArray[np.float32]) -> ShardRows:
    """A shard of latents (n, k) in which no row is stored exactly."""
    no_rows = np.empty((0, *plan.schema.row_shape), plan.schema.dtype)
    return ShardRows.of(plan.scale, stored, np.empty(0, np.int64), no_rows)


def time_single_rows(plan: StorePlan, folder: Path, wanted: NDArray[np.int64]) -> list[Seconds]:
    """Time to read each of the rows `wanted` from an open shard."""
    reader = plan.open(Files(folder), 0)
    times = [timed(functools.partial(reader.read, row, row + 1)) for row in wanted.tolist()]
    reader.close()
    return times


def speed(results: ResultTables, only: list[str]) -> None:
    """Rows near a plane in 64 dimensions; `only` may give another number of rows."""
    n = int(only[0]) if only else SPEED_ROWS
    results.begin(
        f"{n:,} x 64 float32: MB of input per CPU second (run with OMP_NUM_THREADS=1), "
        f"single steps on the first {PART:,} rows"
    )
    with tempfile.TemporaryDirectory() as folder:
        path, quarter = Path(folder) / "rows.npy", Path(folder) / "quarter.npy"
        rows = write_rows_near_a_plane(path, n)
        write_rows_near_a_plane(quarter, n // 4)
        small = NARROW.replace("[16]", "[32]").replace("latent = 4", "latent = 8")
        networks = {"64-32-8-32-64": small, "as init writes it": proposed_model(rows[:20_000])}
        for network, text in networks.items():
            job = BenchJob(np.array(rows[:20_000]), text)
            for setting in SETTINGS:
                measure = functools.partial(_speed, network, job, (quarter, path), setting)
                results.add("speed", f"{n}, {network}, {setting}", measure)


def proposed_model(rows: NDArray[np.float32]) -> str:
    """The sections [model] and [train] that `nightglass init` writes for these rows."""
    text = propose_for_rows(rows)
    return text[text.index("[model]") : text.index("[score]")]


def write_rows_near_a_plane(path: Path, n: int) -> NDArray[np.float32]:
    """Rows (n, 64) in a memory-mapped file."""
    random = np.random.default_rng(0)
    mix = random.normal(size=(6, 64))
    rows = np.lib.format.open_memmap(path, "w+", np.float32, (n, 64))
    for start in range(0, n, 100_000):
        m = min(100_000, n - start)
        on_plane = random.normal(size=(m, 6)) @ mix
        rows[start : start + m] = on_plane + 0.05 * random.normal(size=(m, 64))
    return rows


def _speed(network: str, job: BenchJob, paths: tuple[Path, Path], setting: str) -> dict[str, str]:
    """Encode and decode file to file, and the network and the codec alone.

    paths: a quarter of the rows, and all. Speeds are those of the other three quarters, so that
    imports and planning do not count.
    """
    job.train()
    loaded = read_job(job.path, [f"encode.{each}" for each in setting.split()])
    _, model = load_model(open_workspace(loaded), device="cpu")
    rows = np.load(paths[1], mmap_mode="r")
    some = np.array(rows[:PART])
    part, most = some.nbytes / 1e6, 0.75 * rows.nbytes / 1e6
    forward = part / cpu_seconds(forward_pass(model, some))
    errors = part / cpu_seconds(lambda: model.encode_and_errors(some))
    with open_source(paths[1]) as source:
        planned = plan_store(loaded, model, source, plan_shards(source, loaded.data.shard_bytes))
    write, read = (part / each for each in time_codec(planned, model, some))
    time_file_to_file(loaded, paths[0])  # imports what the first run of a process imports
    quarter, whole = (time_file_to_file(loaded, path) for path in paths)
    encode, decode = (
        most / (all_rows.cpu - some_rows.cpu)
        for some_rows, all_rows in zip(quarter, whole, strict=True)
    )
    slower = min(forward, write)
    return {
        "network": network,
        "setting": setting,
        "encode": f"{encode:.1f}",
        "decode": f"{decode:.1f}",
        "network alone": f"{forward:.0f}",
        "codec write": f"{write:.1f}",
        "shares of the slower": f"**{encode / slower:.2f}, {decode / slower:.2f}**",
        "network, scaling, and errors": f"{errors:.0f}",
        "codec read": f"{read:.1f}",
        "wall time": f"{whole[0].wall:.1f}, {whole[1].wall:.1f}",
    }


def time_file_to_file(job: Job, path: Path) -> tuple[Seconds, Seconds]:
    """Encode a file and decode the store, with the code of the commands."""
    store = path.with_name("store")
    request = EncodeRequest(job="", source=str(path), out=str(store))
    encoding = timed(lambda: encode_rows(job, request, run_all=run_in_threads(1), device="cpu"))
    decoding = timed(lambda: decode_store(store, path.with_name("decoded.npy")))
    shutil.rmtree(store)
    return encoding, decoding


def time_codec(planned: Planned, model: Autoencoder, some: NDArray[Any]) -> tuple[float, float]:
    """CPU seconds in which the store's codec writes these rows and reads them again."""
    stored = model.encode(some)
    if planned.plan.bounded:
        return time_blocks(planned, some, stored)
    return time_latents(planned.plan, stored)


def time_latents(plan: StorePlan, stored: NDArray[np.float32]) -> tuple[float, float]:
    """CPU seconds to write and read a shard of latents (n, k)."""
    rows = without_exact_rows(plan, stored)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write = cpu_seconds(lambda: plan.write(folder, 0, rows))
        read = cpu_seconds(lambda: plan.read(Files(folder), 0, 0, len(stored)).latents(plan.scale))
    return write, read


def time_blocks(
    planned: Planned, some: NDArray[Any], stored: NDArray[np.float32]
) -> tuple[float, float]:
    """CPU seconds to write and read rows (n, d) in blocks with an error bound."""
    bounded = planned.plan.bounded
    assert bounded is not None
    height = block_rows(some.shape[1])
    starts = range(0, len(some), height)
    pieces = [(some[i : i + height], stored[i : i + height]) for i in starts]
    written: list[bytes] = []

    def write() -> None:
        blocks = Blocks(bounded, planned.decoder.decode_exactly)
        for piece in pieces:
            blocks.add(*piece, unseen=False)
        written[:] = blocks.blocks

    def read() -> None:
        for block, each in zip(written, predicted, strict=True):
            decode_block(block, some.shape[1], some.dtype.name, each)

    write_seconds = cpu_seconds(write)
    predicted = [
        planned.decoder.decode_exactly(latents).reshape(rows.shape) for rows, latents in pieces
    ]
    return write_seconds, cpu_seconds(read)


def forward_pass(model: Autoencoder, some: NDArray[Any]) -> Callable[[], None]:
    """Encoder and decoder in plain torch on rows scaled beforehand.

    In the batches that the commands use.
    """
    batches = torch.from_numpy(model.scale(some)).split(model.size)

    @torch.inference_mode()
    def work() -> None:
        for batch in batches:
            for member in model.members:
                member(batch)

    return work
