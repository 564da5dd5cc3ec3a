"""Peak memory of `nightglass score` in a fresh process.

For 1 and 4 million rows of 64 float32, in HDF5, Parquet, and NPY.

    python benchmarks/memory.py             about five minutes and 3 GB of disk
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from commands import NIGHTGLASS
from datasets import machine
from markdown_table import print_head, print_row
from numpy.typing import NDArray

FEATURES = 64
PIECE = 100_000
MILLIONS = (1, 4)
REPEATS = 3  # the median is shown
# shard_bytes is small, so that all workers are busy on a million rows too
JOB = """
name = "wide"
[data]
clean = "clean.{suffix}"
shard_bytes = "64 MB"
[model]
hidden = [64]
latent = 16
output = "identity"
loss = "mse"
scaling = "standard"
[train]
epochs = 2
"""


@dataclass(frozen=True)
class Run:
    """Rows that a command reports, its peak memory in MiB, and its seconds."""

    rows: int
    peak: float
    seconds: float


def pieces(rows: int) -> Iterator[NDArray[np.float32]]:
    """Pieces (PIECE, 64) of rank 8 with noise."""
    random = np.random.default_rng(0)
    plane = random.normal(size=(8, FEATURES)).astype(np.float32)
    for _ in range(rows // PIECE):
        position = random.normal(size=(PIECE, 8)).astype(np.float32)
        noise = random.normal(size=(PIECE, FEATURES)).astype(np.float32)
        yield position @ plane + noise


def to_table(rows: NDArray[np.float32]) -> pa.Table:
    columns = {f"f{index:02d}": np.ascontiguousarray(rows[:, index]) for index in range(FEATURES)}
    return pa.table(columns)


def write_npy(path: Path, rows: int) -> None:
    """Write without a memory map: its pages would count as the child's memory."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (rows, FEATURES)}
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for piece in pieces(rows):
            stream.write(piece.data)


def write_hdf5(path: Path, rows: int) -> None:
    shape, chunks = (rows, FEATURES), (4096, FEATURES)
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("rows", shape, np.float32, chunks=chunks)
        for index, piece in enumerate(pieces(rows)):
            dataset[index * PIECE : (index + 1) * PIECE] = piece


def write_parquet(path: Path, rows: int) -> None:
    schema = to_table(next(pieces(PIECE))).schema
    with pq.ParquetWriter(path, schema, use_dictionary=False) as writer:
        for piece in pieces(rows):
            writer.write_table(to_table(piece))


WRITERS = {"h5": write_hdf5, "parquet": write_parquet, "npy": write_npy}


def run(*words: object) -> Run:
    """Run a command and measure it."""
    line = [NIGHTGLASS, *map(str, words), "--json", "--no-prefect"]
    began = time.perf_counter()
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 (our own command)
        assert process.stdout is not None
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{line} exited with {process.returncode}"
    seconds = time.perf_counter() - began
    return Run(json.loads(out)["rows"], usage.ru_maxrss / 1024, seconds)


def score(job: Path, source: Path, millions: int) -> Run:
    """Score a file several times; the run with the median peak."""
    runs = []
    for day in range(1, REPEATS + 1):
        date = f"2026-0{millions}-0{day}"
        runs.append(run("score", job, "--source", source, "--date", date))
    return sorted(runs, key=lambda found: found.peak)[REPEATS // 2]


def measure(suffix: str, folder: Path) -> None:
    """Print the rows of one format."""
    job, night = folder / "wide.toml", folder / f"night.{suffix}"
    job.write_text(JOB.format(suffix=suffix), encoding="utf-8")
    WRITERS[suffix](folder / f"clean.{suffix}", PIECE)
    run("train", job)
    first = 0.0
    for millions in MILLIONS:
        WRITERS[suffix](night, millions * 1_000_000)
        found = score(job, night, millions)
        first = first or found.peak
        print_row(
            suffix,
            f"{found.rows:,}",
            f"{found.peak:.0f}",
            f"{found.peak / first - 1:+.1%}",
            f"{found.seconds:.1f}",
            f"{found.rows / found.seconds:,.0f}",
        )


def main() -> None:
    print(f"Machine: {machine()}\n")
    print_head("format", "rows", "peak MiB", "change from 1 million", "seconds", "rows/s")
    for suffix in WRITERS:
        with tempfile.TemporaryDirectory() as folder:
            measure(suffix, Path(folder))


if __name__ == "__main__":
    main()
