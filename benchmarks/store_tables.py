"""Tables and a field under a largest error: stores beside SZ3, ZFP, Blosc2, plain grids and zstd."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from codec_peers import simple_grid, sz3, truncated, within, zfp
from datasets import DATA, read_rows
from numpy.typing import NDArray
from store_runs import NARROW, Job, Rows, beside_simple, count_broken

from storage.latents import open_store

BOUNDS = (1e-1, 1e-2, 1e-3)


def real_tables() -> dict[str, Callable[[], NDArray[Any]]]:
    """The tables of the comparison, by name."""

    def archive(file: str) -> NDArray[Any]:
        return np.asarray(np.load(DATA / f"adbench/{file}.npz")["X"])

    return {
        "shuttle": lambda: archive("32_shuttle"),
        "cover": lambda: archive("10_cover"),
        "SKAB": sensors,
        "ADBench mnist": lambda: without_constants(archive("24_mnist")),
    }


def sensors() -> NDArray[Any]:
    """The eight sensors of SKAB, all runs one after the other."""
    names = ["anomaly-free/anomaly-free.csv", *(f"valve1/{number}.csv" for number in range(16))]
    return np.concatenate([read_rows(f"skab/{name}")[:, :8] for name in names])


def without_constants(rows: NDArray[Any]) -> NDArray[Any]:
    """The columns that vary."""
    return rows[:, np.ptp(rows, axis=0) > 0]


def tables(kept: Rows, only: Iterable[str]) -> None:
    """Largest error a share of each column's range."""
    kept.begin(
        "Tables: largest error a share of each column's range. Ratio against float32, all that decoding reads counted"
    )
    for name, read in real_tables().items():
        if not only or name in only:
            rows = read()
            job = Job(rows, NARROW)
            for bound in BOUNDS:
                kept.add(
                    "tables",
                    f"{name}, {bound:g}",
                    lambda rows=rows, job=job, name=name, bound=bound: _table(
                        name, rows, job, bound
                    ),
                )


def _table(name: str, rows: NDArray[Any], job: Job, bound: float) -> dict[str, str]:
    values = rows.astype(np.float64)
    unit = ((values - values.min(axis=0)) / np.ptp(values, axis=0)).astype(np.float32)
    asked = f"max_error_relative={bound}"
    store, report = job.encode(asked)
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
        "broken": count_broken(store, rows, bound * np.ptp(values, axis=0)),
        "beside the best simple codec": beside_simple(job, (asked,), report),
    }


def fields(kept: Rows, only: Iterable[str]) -> None:  # noqa: ARG001 (one signature for all tables)
    """CFD: largest error a share of the whole range."""
    kept.begin(
        "CFD animation, 60 x 50 x 50: largest error a share of the whole range. Ratio against float32"
    )
    frames = np.load(DATA / "cfd/CFD_animation.npz")["data"]
    job = Job(frames, NARROW.replace("[16]", "[]"))
    for bound in BOUNDS:
        kept.add("fields", f"{bound:g}", lambda bound=bound: _field(frames, job, bound))


def _field(frames: NDArray[Any], job: Job, bound: float) -> dict[str, str]:
    tolerance, single = bound * float(np.ptp(frames)), frames.astype(np.float32)
    asked = f"max_error={tolerance!r}"
    store, report = job.encode(asked)
    with open_store(store) as opened:
        reader = opened._plan.open_values(opened._files, 0)
        payload = sum(len(reader.block(index)) for index in range(len(reader.rows)))
    size = report["bytes"]["store"]
    return {
        "bound": f"{bound:g}",
        "values alone": f"**{single.nbytes / payload:.1f}**",
        "whole store": f"{single.nbytes / size:.1f}",
        "containers": f"{size - payload:,} B",
        "SZ3": f"{single.nbytes / within(single, tolerance, sz3):.1f}",
        "ZFP": f"{single.nbytes / within(single, tolerance, zfp):.1f}",
        "broken": count_broken(store, frames, np.array(tolerance)),
        "beside the best simple codec": beside_simple(job, (asked,), report),
    }
