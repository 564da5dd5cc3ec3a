"""How large the page of a night is, how long it takes to open, and how long scoring takes.

Run `python benchmarks/page_size.py [ROWS …]`, for nights of 10,000 to 10 million rows. Rows are
images of 8 × 8 pixels, of which 1,000 have a bright square; the page lists the highest 100 with
pictures. Chromium opens it.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path

import numpy as np
from commands import command
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from page_load import load_milliseconds

JOB = """name = "pages"
[data]
clean = "clean.npy"
incoming = "nights/{date}.npy"
[model]
hidden = [16]
latent = 4
activation = "silu"
output = "identity"
loss = "mse"
[train]
epochs = 5
learning_rate = 3e-3
[score]
by = "error"
rule = "top"
top_n = 100
"""
DAY = "2026-11-22"
AT_ONCE = 100_000


def images(n: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """Return smooth images (n, 8, 8)."""
    slopes = random.integers(0, 16, (n, 2, 1, 1), np.uint8)
    steps = np.arange(8, dtype=np.uint8)
    noise = random.integers(0, 8, (n, 8, 8), np.uint8)
    return slopes[:, 0] * steps[:, None] + slopes[:, 1] * steps + noise


def write_night(path: Path, rows: int) -> None:
    """Write a night; its outliers are evenly spread."""
    path.parent.mkdir(exist_ok=True)
    random = np.random.default_rng(1)
    night = open_memmap(path, mode="w+", dtype=np.uint8, shape=(rows, 8, 8))
    for start in range(0, rows, AT_ONCE):
        stop = min(start + AT_ONCE, rows)
        night[start:stop] = images(stop - start, random)
    night[:: rows // 1_000, 2:5, 2:5] = 255


def main() -> None:
    """Print one line per number of rows."""
    for rows in map(int, sys.argv[1:] or (10_000, 100_000, 1_000_000, 10_000_000)):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "job.toml").write_text(JOB)
            np.save(folder / "clean.npy", images(20_000, np.random.default_rng(0)))
            command("train", folder / "job.toml")
            write_night(folder / f"nights/{DAY}.npy", rows)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            night = command("score", folder / "job.toml", "--date", DAY)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            page = Path(night["path"]) / "report.html"
            print(
                f"{rows:10,} rows, {night['flagged']:6,} flagged: "
                f"page of {page.stat().st_size / 1e3:,.0f} kB, open in "
                f"{load_milliseconds(page):.0f} ms; scored in {seconds:.0f} s of CPU time",
                flush=True,
            )


if __name__ == "__main__":
    main()
