"""Values within an error bound: `encode.speed` "fast" beside "small", the codec alone.

    python benchmarks/codec_speed.py

MB of float32 a CPU second into one block and out of it, by the winner of each contest, at 1 % of
each column's range: rows near a plane in 64 dimensions, and tables of ADBench.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
from datasets import machine
from markdown_table import print_head, print_row
from numpy.typing import NDArray
from tables import split

from storage.codecs.blocks import Bound, Codec, decode_block, encode_block
from storage.codecs.candidates import Sample
from storage.codecs.selection import hold_contest

SHARE = 0.01
SAMPLE_VALUES = 1 << 19
TABLES = ("32_shuttle", "24_mnist", "10_cover")
MOST_ROWS = 100_000
REPEATS = 3  # of which the fastest counts
Rows = NDArray[np.float32]


def workloads() -> Iterator[tuple[str, Rows]]:
    random = np.random.default_rng(0)
    plane = random.normal(size=(MOST_ROWS, 6)) @ random.normal(size=(6, 64))
    yield "near a plane", (plane + 0.05 * random.normal(size=plane.shape)).astype(np.float32)
    for name in TABLES:
        rows = np.concatenate(split(name, 0)[:2])[:MOST_ROWS]
        yield name, rows.astype(np.float32)


def megabytes_a_second(rows: Rows, work: Callable[[], object]) -> float:
    fastest = float("inf")
    for _ in range(REPEATS):
        began = time.process_time()
        work()
        fastest = min(fastest, time.process_time() - began)
    return rows.nbytes / 1e6 / fastest


def measure(rows: Rows, bound: Bound, codec: Codec) -> tuple[float, float, float]:
    """Ratio, and MB a CPU second in and out."""
    block, _ = encode_block(codec, rows, None, bound)
    into = megabytes_a_second(rows, lambda: encode_block(codec, rows, None, bound))
    out = megabytes_a_second(rows, lambda: decode_block(block, rows.shape[1], "float32", None))
    return rows.nbytes / len(block), into, out


def main() -> None:
    print(f"Machine: {machine()}\n")
    print_head("rows", "speed", "winner", "ratio", "of small", "MB/s in", "times small", "MB/s out")
    for name, rows in workloads():
        bound = Bound(SHARE * np.ptp(rows, axis=0).astype(np.float64))
        sample = rows[:: max(1, rows.size // SAMPLE_VALUES)]
        contest = Sample(sample, None, rows.shape[1:], len(rows))
        small: tuple[float, float, float] | None = None
        for speed in ("small", "fast"):
            best = hold_contest(contest, bound, fast=speed == "fast")[0]
            assert best.codec is not None
            found = measure(rows, bound, best.codec)
            small = small or found
            shares = (found[0] / small[0], found[1] / small[1])
            figures = [f"{found[0]:.1f}", f"{shares[0]:.2f}", f"{found[1]:.1f}", f"{shares[1]:.1f}"]
            print_row(name, speed, best.name, *figures, f"{found[2]:.0f}")


if __name__ == "__main__":
    main()
