"""Dense signals, images and fields under an error bound: stores against simple codecs."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np
from codec_peers import grid_codes, narrow, sz3, through_filter, zstd
from numpy.typing import NDArray
from store_runs import NARROW, BenchJob, ResultTables, count_violations

BOUND = 1e-2  # of the whole range
CONTAINERS = 4_000  # bytes of manifest and file formats
SEED = 0


def dense_signal() -> NDArray[np.float64]:
    """Ten sinusoids and noise, cut into 3,000 windows of 200."""
    random, time = np.random.default_rng(SEED), np.arange(600_000)
    frequencies, phases = random.uniform(5e-4, 2e-2, 10), random.uniform(0, 2 * np.pi, 10)
    waves = sum(np.sin(2 * np.pi * f * time + p) for f, p in zip(frequencies, phases, strict=True))
    noise = random.normal(scale=0.01, size=time.size)
    return np.asarray(waves + noise).reshape(3_000, 200)


def smooth_field() -> NDArray[np.float64]:
    """A field of 1,200 x 500 points, one row of the table for each of its rows."""
    y, x = np.mgrid[:1200, :500] / 100
    return np.asarray(np.sin(1.3 * y) * np.cos(0.7 * x + 0.2 * y) + 0.3 * np.sin(3 * y + 2 * x))


def smooth_images() -> NDArray[np.float64]:
    """2,000 images of 16 x 16 points, each a wave of its own."""
    y, x = np.mgrid[:16, :16]
    widths = np.random.default_rng(SEED).uniform(4, 12, (2_000, 2))
    return np.array([np.sin(x / width + y / height) for width, height in widths])


INPUTS = {"signal": dense_signal, "field": smooth_field, "images": smooth_images}


def signals(results: ResultTables, only: Iterable[str]) -> None:
    """Dense data with a largest error as a share of the whole range."""
    results.begin(
        f"Dense signals, images, and fields: largest error {BOUND:.0%} of the range. "
        "Bytes, counting all that decoding reads; peers are bare payloads"
    )
    for name, make in INPUTS.items():
        if not only or name in only:
            results.add("signals", name, functools.partial(_signal, name, make()))


def _signal(name: str, rows: NDArray[np.float64]) -> dict[str, str]:
    tolerance = BOUND * float(np.ptp(rows))
    job = BenchJob(rows, NARROW)
    store, report = job.encode(f"max_error={tolerance!r}")
    peers = peer_bytes(rows, tolerance)
    left = min(peers.values()) + CONTAINERS - report["bytes"]["store"]
    return {
        "data": f"{name}, {' × '.join(f'{size:,}' for size in rows.shape)}",
        "this store": f"**{report['bytes']['store']:,}**",
        "codec": report["contest"][0]["codec"],
        **{peer: f"{size:,}" for peer, size in peers.items()},
        "below the best peer + 4 kB": f"{left:,}",
        "violations": count_violations(store, rows, np.array(tolerance)),
    }


def peer_bytes(rows: NDArray[Any], tolerance: float) -> dict[str, int]:
    """Bytes of the simple codecs, each in its best form."""
    codes = grid_codes(rows, tolerance)
    return {
        "SZ3 by rows": through_filter(rows, sz3(tolerance))[0],
        "SZ3 flat": through_filter(rows.reshape(-1), sz3(tolerance))[0],
        "differences + zstd 19": zstd(narrow(np.diff(codes.reshape(-1), prepend=0)).tobytes()),
        "grid + zstd 19": zstd(narrow(codes).tobytes()),
    }
