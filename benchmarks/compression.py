"""Stores with an error bound and latent stores, beside SZ3, ZFP, Blosc2, zstd and PCA, in one run.

    python benchmarks/compression.py            all tables
    python benchmarks/compression.py tables     one of: tables, fields, digits, all_digits, latents, speed

Ratios are against float32, everything that `decode` reads counted, unless a table says otherwise. Needs the extra 'sz3' for the peers.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pyarrow as pa
from datasets import DATA, machine, read_rows
from numpy.typing import NDArray

from flows.decode import decoder_of
from flows.encode_plan import wide_range
from storage.latents import open_store

NARROW = """[model]
hidden = [16]
latent = 4
activation = "silu"
output = "identity"
loss = "mse"
scaling = "standard"
[train]
epochs = 5
"""
DIGITS = """[model]
latent = {latent}
activation = "elu"
loss = "mse"
l2 = {l2}
[train]
epochs = {epochs}
learning_rate = 2e-3
calibration = 0.02
validation = 0.05
"""


def command(*words: object) -> dict[str, Any]:
    """Run a nightglass command and return what it says."""
    line = [str(Path(sys.executable).with_name("nightglass")), *map(str, words), "--json"]
    if words[0] in ("train", "encode"):
        line.append("--no-prefect")
    done = subprocess.run(line, check=False, capture_output=True, text=True)  # noqa: S603 (its own command)
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class Job:
    """A trained job in a folder of its own."""

    def __init__(self, folder: str, clean: Path, model: str) -> None:
        self.folder, self.clean = Path(folder), clean
        self.path = self.folder / "job.toml"
        self.path.write_text(f'name = "bench"\n[data]\nclean = "{clean}"\n{model}', encoding="utf-8")
        trained = command("train", self.path)
        if not trained["promoted"]:  # a bound is held whatever the model
            command("models", "promote", self.path, trained["model_id"])

    def encode(self, *settings: str, source: Path | None = None) -> tuple[Path, dict[str, Any]]:
        """A store of `source` (the clean rows) under these settings, and its size report."""
        words = [word for setting in settings for word in ("--set", f"encode.{setting}")]
        found = command("encode", self.path, *(["--source", source] if source else []), *words)
        return Path(found["path"]), found["report"]


def real_tables() -> dict[str, NDArray[Any]]:
    """The tables of the comparison; constant columns of the digits' table are left out."""
    archive = {name: np.load(DATA / f"adbench/{file}.npz")["X"] for name, file in (("shuttle", "32_shuttle"), ("cover", "10_cover"))}
    digits = np.load(DATA / "adbench/24_mnist.npz")["X"]
    names = ["anomaly-free/anomaly-free.csv", *(f"valve1/{number}.csv" for number in range(16))]
    sensors = np.concatenate([read_rows(f"skab/{name}")[:, :8] for name in names])
    return {**archive, "SKAB": sensors, "ADBench mnist": digits[:, np.ptp(digits, axis=0) > 0]}


def through_filter(values: NDArray[Any], options: dict[str, Any]) -> tuple[int, NDArray[Any]]:
    """Bytes of an array as one HDF5 chunk under a filter, and what comes back."""
    with h5py.File(
        "bench", "w", driver="core", backing_store=False, rdcc_nbytes=0
    ) as file:  # no cache: what is read went through the filter
        dataset = file.create_dataset("a", data=values, chunks=values.shape, **options)
        return dataset.id.get_storage_size(), dataset[...]


def within(rows: NDArray[Any], tolerance: float, options: Any) -> int:
    """Fewest bytes of a filter over several layouts, its own tolerance widened as far as the bound is still held."""
    best = rows.nbytes
    layouts = [rows, rows.T.copy(), rows.reshape(-1)] if rows.ndim == 2 else [rows, rows.reshape(len(rows), -1)]
    for layout in layouts:
        for share in (4.0, 2.0, 1.5, 1.0):
            size, back = through_filter(layout, options(share * tolerance))
            if np.abs(back.astype(np.float64) - layout).max() <= tolerance:
                best = min(best, size)
                break
    return best


def simple_grid(rows: NDArray[Any], tolerance: float) -> int:
    """Rounding to a plain grid, then the best of zstd 19 by row, by column, and by differences down each column."""
    codes = np.rint(rows / (2 * tolerance)).astype(np.int64)
    narrow = (codes - codes.min()).astype(np.min_scalar_type(int(np.ptp(codes))))
    steps = np.diff(codes.T, axis=1, prepend=0)
    steps = (steps - steps.min()).astype(np.min_scalar_type(int(np.ptp(steps))))
    codec = pa.Codec("zstd", compression_level=19)
    return min(len(codec.compress(np.ascontiguousarray(each).data, asbytes=True)) for each in (narrow, narrow.T, steps))


def tables() -> None:
    print("\n## Tables: largest error a share of each column's range. Ratio against float32, all that decoding reads counted\n")
    print(
        "| data | bound | this store | held | codec | SZ3 | ZFP | Blosc2 trunc | plain grid + zstd 19 | zstd 19 |\n"
        "|:--|--:|--:|:--|:--|--:|--:|--:|--:|--:|"
    )
    for name, rows in real_tables().items():
        with tempfile.TemporaryDirectory() as folder:
            np.save(Path(folder) / "rows.npy", np.ascontiguousarray(rows))
            job = Job(folder, Path(folder) / "rows.npy", NARROW)
            values = rows.astype(np.float64)
            unit = ((values - values.min(axis=0)) / np.ptp(values, axis=0)).astype(np.float32)
            for bound in (1e-1, 1e-2, 1e-3):
                store, report = job.encode(f"max_error_relative={bound}")
                codecs = ", ".join(report["bound"]["codecs"])
                held = count_broken(store, rows, bound * np.ptp(values, axis=0))
                peers = [
                    within(unit, bound, lambda tolerance: hdf5plugin.SZ3(absolute=tolerance)),
                    within(unit, bound, lambda tolerance: hdf5plugin.Zfp(accuracy=tolerance)),
                    truncated(unit, bound),
                    simple_grid(unit, bound),
                    report["bytes"]["lossless"],
                ]
                ratios = " | ".join(f"{unit.nbytes / size:.1f}" for size in peers)
                print(f"| {name} | {bound:g} | **{report['ratio']['float32']:.1f}** | {held} | {codecs} | {ratios} |", flush=True)


def truncated(unit: NDArray[np.float32], bound: float) -> int:
    """Blosc2 with mantissas cut as far as the bound is held."""
    for bits in range(1, 24):
        mask = np.uint32(0xFFFFFFFF << (23 - bits) & 0xFFFFFFFF)
        if np.abs((unit.view(np.uint32) & mask).view(np.float32) - unit).max() <= bound:
            cut = (unit.view(np.uint32) & mask).view(np.float32)
            return min(through_filter(each, hdf5plugin.Blosc2(cname="zstd", clevel=9))[0] for each in (cut, cut.T.copy()))
    return unit.nbytes


def count_broken(store: Path, rows: NDArray[Any], tolerance: NDArray[Any]) -> str:
    """Values that decode further off than promised, counted from outside."""
    with tempfile.TemporaryDirectory() as folder:
        command("decode", store, "--out", Path(folder) / "back.npy")
        apart = np.abs(np.load(Path(folder) / "back.npy").astype(np.float64) - rows.astype(np.float64))
    return f"{int((apart > tolerance).sum())} broken of {rows.size:,}"


def fields() -> None:
    print("\n## CFD animation, 60 x 50 x 50: largest error a share of the whole range. Ratio against float32\n")
    print("| bound | values alone | whole store | containers | held | SZ3, best layout | ZFP |\n|--:|--:|--:|--:|:--|--:|--:|")
    frames = np.load(DATA / "cfd/CFD_animation.npz")["data"]
    single = frames.astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "frames.npy", frames)
        job = Job(folder, Path(folder) / "frames.npy", NARROW.replace("[16]", "[]"))
        for bound in (1e-1, 1e-2, 1e-3):
            tolerance = bound * float(np.ptp(frames))
            store, report = job.encode(f"max_error={tolerance!r}")
            with open_store(store) as opened:
                reader = opened._plan.open_values(opened._files, 0)
                payload = sum(len(reader.block(index)) for index in range(len(reader.rows)))
            held = count_broken(store, frames, np.array(tolerance))
            sz3 = within(single, tolerance, lambda allowed: hdf5plugin.SZ3(absolute=allowed))
            zfp = within(single, tolerance, lambda allowed: hdf5plugin.Zfp(accuracy=allowed))
            size = report["bytes"]["store"]
            print(
                f"| {bound:g} | **{single.nbytes / payload:.1f}** | {single.nbytes / size:.1f} | {size - payload:,} B | {held} "
                f"| {single.nbytes / sz3:.1f} | {single.nbytes / zfp:.1f} |",
                flush=True,
            )


def pca_bytes(known: NDArray[Any], rows: NDArray[Any], rmse: float) -> tuple[int, float]:
    """PCA fitted on `known`, coefficients on one grid, both they and an 8-bit basis under zstd 19: fewest bytes within the RMSE."""
    mean = known.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov((known[::4] - mean).T))
    codec = pa.Codec("zstd", compression_level=19)
    best = (rows.nbytes, 0.0)
    for k in (8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 50, 64, 80, 100):
        basis = vectors[:, ::-1][:, :k]
        codes8 = np.rint(basis / np.abs(basis).max() * 127).astype(np.int8)
        small = codes8.astype(np.float64) / 127 * np.abs(basis).max()
        latents = (rows - mean) @ small
        size, reached = pca_at(rows, mean, small, latents, rmse, codec)
        if size:
            total = (
                size
                + len(codec.compress(codes8.T.tobytes(), asbytes=True))
                + len(codec.compress(mean.astype(np.float16).tobytes(), asbytes=True))
            )
            best = min(best, (total, reached))
    return best


def pca_at(rows: Any, mean: Any, basis: Any, latents: Any, rmse: float, codec: Any) -> tuple[int, float]:
    low, high = 0.05, 8.0
    reached = 0.0
    for _ in range(10):
        step = (low * high) ** 0.5
        loss = float(np.sqrt(((np.rint(latents / step) * step @ basis.T + mean - rows) ** 2).mean()))
        low, high, reached = (step, high, loss) if loss <= rmse else (low, step, reached)
    if not reached:
        return 0, 0.0
    codes = np.rint(latents / low).astype(np.int16)
    columns = [np.clip(column - column.min(), 0, 255).astype(np.uint8).tobytes() for column in codes.T]
    return sum(len(codec.compress(column, asbytes=True)) for column in columns), reached


def sz3_at(rows: NDArray[np.float32], rmse: float) -> int:
    """SZ3 over pictures, its tolerance widened to the RMSE."""
    low, high = rmse / 2, rmse * 16
    size = rows.nbytes
    for _ in range(10):
        middle = (low * high) ** 0.5
        found, back = through_filter(rows, hdf5plugin.SZ3(absolute=middle))
        if np.sqrt(((back - rows) ** 2).mean()) <= rmse:
            low, size = middle, min(size, found)
        else:
            high = middle
    return size


def digits() -> None:
    print("\n## MNIST test set, 10,000 pictures: root mean square error (0 to 1). Ratio against float32, everything counted\n")
    print("| asked | format | this store | reached | bytes | PCA + grid | SZ3 |\n|:--|:--|--:|--:|--:|--:|--:|")
    clean, source = DATA / "mnist/train-images-idx3-ubyte.gz", DATA / "mnist/t10k-images-idx3-ubyte.gz"
    test = (read_rows("mnist/t10k-images-idx3-ubyte.gz").reshape(10_000, -1) / 255).astype(np.float32)
    train = read_rows("mnist/train-images-idx3-ubyte.gz").reshape(60_000, -1) / 255
    with tempfile.TemporaryDirectory() as folder:
        job = Job(folder, clean, "[model]\nlatent = 8\n")
        for form in ("hdf5", "parquet"):
            _, report = job.encode(f"format={form}", source=source)
            print_digits("int8 as it comes", form, report, None, None, test.nbytes)
    for rmse, latent, l2, epochs in ((0.185, 12, 3e-5, 30), (0.146, 28, 2e-6, 40)):
        pca, sz3 = pca_bytes(train, test, rmse)[0], sz3_at(test.reshape(-1, 28, 28), rmse)
        with tempfile.TemporaryDirectory() as folder:
            job = Job(folder, clean, DIGITS.format(latent=latent, l2=l2, epochs=epochs))
            for form in ("hdf5", "parquet"):
                _, report = job.encode("precision=auto", f"max_rmse={rmse * 255}", f"format={form}", source=source)
                print_digits(f"RMSE <= {rmse}", form, report, pca, sz3, test.nbytes)


def print_digits(asked: str, form: str, report: dict[str, Any], pca: int | None, sz3: int | None, whole: int) -> None:
    peers = " | ".join(f"{whole / size:.0f}" if size else "–" for size in (pca, sz3))
    print(
        f"| {asked} | {form} | **{report['ratio']['float32']:.0f}** | {report['loss']['rmse'] / 255:.4f} | {report['bytes']['store']:,} | {peers} |",
        flush=True,
    )


def all_digits() -> None:
    print("\n## MNIST, all 70,000 pictures, RMSE <= 0.11. Ratio against float32, everything counted\n")
    print("| codec | ratio | reached |\n|:--|--:|--:|")
    rows = np.concatenate([read_rows(f"mnist/{part}-images-idx3-ubyte.gz") for part in ("train", "t10k")])
    unit = (rows.reshape(len(rows), -1) / 255).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "all.npy", rows)
        job = Job(folder, Path(folder) / "all.npy", DIGITS.format(latent=48, l2=1e-6, epochs=25))
        for form in ("hdf5", "parquet"):
            _, report = job.encode("precision=auto", f"max_rmse={0.11 * 255}", f"format={form}")
            codecs, ratio = ", ".join(report["bound"]["codecs"]), report["ratio"]["float32"]
            print(f"| this store, {form} ({codecs}) | **{ratio:.1f}** | {report['loss']['rmse'] / 255:.4f} |", flush=True)
    size, reached = pca_bytes(unit, unit, 0.11)
    print(f"| PCA + grid + zstd 19 | {unit.nbytes / size:.1f} | {reached:.4f} |", flush=True)
    print(f"| SZ3 | {unit.nbytes / sz3_at(unit.reshape(-1, 28, 28), 0.11):.1f} | 0.11 |", flush=True)


def synthetic_latents(n: int, k: int) -> NDArray[np.float32]:
    """A mixture of 12 clusters with correlated dimensions of unequal scale."""
    random = np.random.default_rng(0)
    centers, mix = random.normal(size=(12, k)) * 2, random.normal(size=(k, k))
    scales = np.exp(random.normal(size=k) / 2)
    return ((centers[random.integers(12, size=n)] + random.normal(size=(n, k)) @ mix / k**0.5) * scales).astype(np.float32)


def latents() -> None:
    from storage.latents import Scale, ShardRows, StorePlan
    from storage.latents.packed import Files
    from storage.sources import Schema

    print("\n## Default latents: 1,000,000 x 16, int8 codes, and one random row of them\n")
    print("| format | ratio | largest error / range | one row, ms (median of 300, file open) |\n|:--|--:|--:|--:|")
    values = synthetic_latents(1_000_000, 16)
    low, high = wide_range(*np.quantile(values, [0.0005, 0.9995], axis=0).astype(np.float32), values[:30_000])
    random = np.random.default_rng(1)
    for form in ("hdf5", "parquet"):
        with tempfile.TemporaryDirectory() as folder:
            plan = StorePlan(format=form, scale=Scale("int8", low, high), schema=Schema((16,), "float32"), latent_dim=16)
            rows = ShardRows.of(plan.scale, values, np.empty(0, np.int64), np.empty((0, 16), np.float32))
            plan.write(Path(folder), 0, rows)
            size = plan.path(Path(folder), 0).stat().st_size
            worst = np.abs(rows.latents(plan.scale) - values).max(axis=0) / np.ptp(values, axis=0)
            reader = plan.open(Files(Path(folder)), 0)
            times = []
            for row in random.integers(0, len(values), 300):
                began = time.perf_counter()
                reader.read(int(row), int(row) + 1)
                times.append(time.perf_counter() - began)
            reader.close()
            print(f"| {form} | **{values.nbytes / size:.2f}** | {worst.max():.1e} | {1e3 * float(np.median(times)):.2f} |", flush=True)


def speed() -> None:
    print("\n## 4,000,000 x 64 float32: MB/s of input\n")
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 4_000_000
    random = np.random.default_rng(0)
    mix = random.normal(size=(6, 64))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        rows = np.lib.format.open_memmap(path, "w+", np.float32, (n, 64))
        for start in range(0, n, 100_000):
            m = min(100_000, n - start)
            rows[start : start + m] = random.normal(size=(m, 6)) @ mix + 0.05 * random.normal(size=(m, 64))
        megabytes = rows.nbytes / 1e6
        small = Path(folder) / "clean.npy"
        np.save(small, rows[:20_000])
        job = Job(folder, small, NARROW.replace("[16]", "[32]").replace("latent = 4", "latent = 8"))
        for settings in (("precision=int8",), ("max_error_relative=1e-2",)):
            measure_speed(job, path, rows, settings, megabytes)


def measure_speed(job: Job, path: Path, rows: NDArray[Any], settings: tuple[str, ...], megabytes: float) -> None:
    """Encode and decode through the code of the commands, beside what bounds them, one thread each."""
    from flows.encode import model_in_force, sampled
    from flows.encode_plan import plan_store
    from flows.encode_shard import ShardEncoder
    from flows.grouping import rows_per_chunk
    from flows.job_file import read_job
    from flows.workspace import open_workspace
    from storage.latents.blocks import encode_block
    from storage.locks import lock  # noqa: F401 (as the command has it)
    from storage.sources import open_source, plan_shards

    loaded = read_job(job.path, [f"encode.{each}" for each in settings])
    _, model = model_in_force(open_workspace(loaded), device="cpu")
    some = np.array(rows[:400_000])
    began = time.perf_counter()
    model.encode_and_errors(some)
    forward = some.nbytes / 1e6 / (time.perf_counter() - began)
    with open_source(path) as source, tempfile.TemporaryDirectory() as work:
        shards = plan_shards(source, loaded.shard_bytes)
        began = time.perf_counter()
        planned = plan_store(loaded, model, source, shards)
        contest = time.perf_counter() - began
        codec = float("inf")
        if planned.plan.bounded:
            began = time.perf_counter()
            encode_block(planned.plan.bounded.entries[0].codec, some[:60_000], None, planned.plan.bounded.bound)
            codec = some[:60_000].nbytes / 1e6 / (time.perf_counter() - began)
        encoder = ShardEncoder(
            planned.plan, model, planned.decoder, source, Path(work), 0.001, rows_per_chunk(source, loaded.memory_bytes), sampled(shards)
        )
        began = time.perf_counter()
        encoder.encode_group(shards)
        encoded = megabytes / (time.perf_counter() - began)
    print(
        f"{', '.join(settings)}: encode {encoded:.1f}, forward pass {forward:.1f}, codec alone {codec:.1f}: "
        f"{encoded / min(forward, codec):.2f} of the slower; plan and contest {contest:.1f} s",
        flush=True,
    )
    store, _ = job.encode(*settings, source=path)
    with open_store(store) as opened:
        decode = decoder_of(opened)
        began = time.perf_counter()
        for start in range(0, opened.n_rows, 8_192):
            opened.decode(start, min(start + 8_192, opened.n_rows), decode)
        print(f"{', '.join(settings)}: decode {megabytes / (time.perf_counter() - began):.1f}", flush=True)


TABLES = {"tables": tables, "fields": fields, "digits": digits, "all_digits": all_digits, "latents": latents, "speed": speed}

if __name__ == "__main__":
    print(f"Machine: {machine()}")
    for chosen in sys.argv[1:2] or TABLES:
        TABLES[chosen]()
