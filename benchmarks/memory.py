"""Peak memory of `nightglass score` in a fresh process, for 1 and 4 million rows of 64 float32, in HDF5, Parquet and NPY.

python benchmarks/memory.py             about five minutes and 3 GB of disk
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import machine
from numpy.typing import NDArray

FEATURES = 64
PIECE = 100_000
MILLIONS = (1, 4)
REPEATS = 3  # the median is shown
NIGHTGLASS = str(Path(sys.executable).with_name("nightglass"))
JOB = """
name = "wide"
[data]
clean = "clean.{suffix}"
shard_bytes = "64 MB"            # so that all workers are busy on a million rows too
[model]
hidden = [64]
latent = 16
output = "identity"
loss = "mse"
scaling = "standard"
[train]
epochs = 2
"""


def pieces(rows: int) -> Any:
    """Rows (PIECE, 64) of rank 8 and noise, one after the other."""
    random = np.random.default_rng(0)
    plane = random.normal(size=(8, FEATURES)).astype(np.float32)
    for _ in range(rows // PIECE):
        yield random.normal(size=(PIECE, 8)).astype(np.float32) @ plane + random.normal(
            size=(PIECE, FEATURES)
        ).astype(np.float32)


def columns(rows: NDArray[np.float32]) -> pa.Table:
    return pa.table(
        {f"f{index:02d}": np.ascontiguousarray(rows[:, index]) for index in range(FEATURES)}
    )


def write(path: Path, rows: int) -> None:
    """Write a file of `rows` rows, in the format of its suffix."""
    if path.suffix == ".npy":
        with path.open("wb") as stream:  # no memory map: its pages would be counted as the child's
            np.lib.format.write_array_header_1_0(
                stream, {"descr": "<f4", "fortran_order": False, "shape": (rows, FEATURES)}
            )
            for piece in pieces(rows):
                stream.write(piece.data)
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            dataset = file.create_dataset(
                "rows", (rows, FEATURES), np.float32, chunks=(4096, FEATURES)
            )
            for index, piece in enumerate(pieces(rows)):
                dataset[index * PIECE : (index + 1) * PIECE] = piece
    else:
        with pq.ParquetWriter(
            path, columns(next(pieces(PIECE))).schema, use_dictionary=False
        ) as writer:
            for piece in pieces(rows):
                writer.write_table(columns(piece))


def measure(*words: object) -> tuple[dict[str, Any], float, float]:
    """Run a command; what it says, its peak memory in MiB, and its seconds."""
    line = [NIGHTGLASS, *map(str, words), "--json", "--no-prefect"]
    began = time.perf_counter()
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 (its own command)
        assert process.stdout is not None
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{line} ended with {process.returncode}"
    return json.loads(out), usage.ru_maxrss / 1024, time.perf_counter() - began


def main() -> None:
    print(
        f"Machine: {machine()}\n\n| format | rows | peak MiB | against 1 million | seconds | rows/s |\n|:--|--:|--:|--:|--:|--:|"
    )
    for suffix in ("h5", "parquet", "npy"):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "wide.toml").write_text(JOB.format(suffix=suffix), encoding="utf-8")
            write(folder / f"clean.{suffix}", PIECE)
            measure("train", folder / "wide.toml")
            first = 0.0
            for millions in MILLIONS:
                path = folder / f"night.{suffix}"
                write(path, millions * 1_000_000)
                line = ("score", folder / "wide.toml", "--source", path, "--date")
                runs = [measure(*line, f"2026-0{millions}-0{day}") for day in range(1, REPEATS + 1)]
                facts, peak, seconds = sorted(runs, key=lambda found: found[1])[REPEATS // 2]
                first = first or peak
                print(
                    f"| {suffix} | {facts['rows']:,} | {peak:.0f} | {peak / first - 1:+.1%} | {seconds:.1f} | {facts['rows'] / seconds:,.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
