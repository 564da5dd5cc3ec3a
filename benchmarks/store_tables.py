"""Tables and a field under an error bound: stores against SZ3, ZFP, Blosc2, grids, and zstd."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from codec_peers import simple_grid, sz3, truncated, within, zfp
from datasets import DATA, read_rows
from numpy.typing import NDArray
from store_runs import NARROW, BenchJob, ResultTables, compare_with_simple, count_violations

from storage.latents import open_store

BOUNDS = (1e-1, 1e-2, 1e-3)


def real_tables() -> dict[str, Callable[[], NDArray[Any]]]:
    """Readers of the compared tables, by name."""
    return {
        "shuttle": lambda: read_adbench("32_shuttle"),
        "cover": lambda: read_adbench("10_cover"),
        "SKAB": sensors,
        "ADBench mnist": lambda: without_constants(read_adbench("24_mnist")),
    }


def read_adbench(name: str) -> NDArray[Any]:
    """Rows of one ADBench table."""
    return np.asarray(np.load(DATA / f"adbench/{name}.npz")["X"])


def sensors() -> NDArray[Any]:
    """The eight sensors of SKAB, all runs concatenated."""
    names = ["anomaly-free/anomaly-free.csv", *(f"valve1/{number}.csv" for number in range(16))]
    return np.concatenate([read_rows(f"skab/{name}")[:, :8] for name in names])


def without_constants(rows: NDArray[Any]) -> NDArray[Any]:
    """Drop constant columns."""
    return rows[:, np.ptp(rows, axis=0) > 0]


def tables(results: ResultTables, only: Iterable[str]) -> None:
    """Tables with a largest error as a share of each column's range."""
    results.begin(
        "Tables: largest error as a share of each column's range. "
        "Ratio against float32, counting all that decoding reads"
    )
    for name, read in real_tables().items():
        if not only or name in only:
            rows = read()
            job = BenchJob(rows, NARROW)
            for bound in BOUNDS:
                measure = functools.partial(_table, name, rows, job, bound)
                results.add("tables", f"{name}, {bound:g}", measure)


def _table(name: str, rows: NDArray[Any], job: BenchJob, bound: float) -> dict[str, str]:
    values = rows.astype(np.float64)
    unit = ((values - values.min(axis=0)) / np.ptp(values, axis=0)).astype(np.float32)
    setting = f"max_error_relative={bound}"
    store, report = job.encode(setting)
    peers = {
        "SZ3": within(unit, bound, sz3),
        "ZFP": within(unit, bound, zfp),
        "Blosc2 trunc": truncated(unit, bound),
        "plain grid + zstd 19": simple_grid(unit, bound),
        "zstd 19": report["bytes"]["lossless"],
    }
    return {
        "data": name,
        "bound": f"{bound:g}",
        "this store": f"**{report['ratio']['float32']:.1f}**",
        "codec": ", ".join(report["bound"]["codecs"]),
        **{peer: f"{unit.nbytes / size:.1f}" for peer, size in peers.items()},
        "violations": count_violations(store, rows, bound * np.ptp(values, axis=0)),
        "against the best simple codec": compare_with_simple(job, (setting,), report),
    }


def fields(results: ResultTables, only: Iterable[str]) -> None:  # noqa: ARG001 (one signature for all tables)
    """CFD with a largest error as a share of the whole range."""
    results.begin(
        "CFD animation, 60 x 50 x 50: largest error as a share of the whole range. "
        "Ratio against float32"
    )
    frames = np.load(DATA / "cfd/CFD_animation.npz")["data"]
    job = BenchJob(frames, NARROW.replace("[16]", "[]"))
    for bound in BOUNDS:
        results.add("fields", f"{bound:g}", functools.partial(_field, frames, job, bound))


def _field(frames: NDArray[Any], job: BenchJob, bound: float) -> dict[str, str]:
    tolerance = bound * float(np.ptp(frames))
    single = frames.astype(np.float32)
    setting = f"max_error={tolerance!r}"
    store, report = job.encode(setting)
    size = report["bytes"]["store"]
    payload = payload_bytes(store)
    return {
        "bound": f"{bound:g}",
        "values alone": f"**{single.nbytes / payload:.1f}**",
        "whole store": f"{single.nbytes / size:.1f}",
        "containers": f"{size - payload:,} B",
        "SZ3": f"{single.nbytes / within(single, tolerance, sz3):.1f}",
        "ZFP": f"{single.nbytes / within(single, tolerance, zfp):.1f}",
        "violations": count_violations(store, frames, np.array(tolerance)),
        "against the best simple codec": compare_with_simple(job, (setting,), report),
    }


def payload_bytes(store: Path) -> int:
    """Bytes of the blocks in a store's first shard."""
    with open_store(store) as opened:
        reader = opened._plan.open_values(opened._files, 0)
        return sum(len(reader.block(index)) for index in range(len(reader.rows)))
