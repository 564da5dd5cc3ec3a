"""What a scored row costs: ratios to a plain torch loop, to PyOD, CPU time, memory, in one run.

    python benchmarks/run.py                        1,600,000 rows: some minutes and 1.2 GB of disk
    python benchmarks/run.py --rows 16000000 --json cost.json

All rows are 64 float32 columns, in HDF5 unless Parquet is named. Every command runs in a fresh
process with one thread for each worker. CPU seconds are of that process; those of a row are the
difference between a night of all rows and one of a quarter, so that imports, start-up, and fitting
do not count. Shards are small enough to keep all workers busy with a quarter: memory depends on
their number. PyOD's KNN and AutoEncoder, fitted on 10,000 clean rows with their default settings,
are measured where PyOD is installed (the extra `bench`).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pyarrow.parquet as pq
from commands import NIGHTGLASS
from datasets import machine
from markdown_table import print_head, print_row
from memory import FEATURES, JOB, PIECE, WRITERS
from numpy.typing import NDArray

DATE = "2026-01-01"
LOOP_ROWS = 16_384  # read at once by the plain loop: the fastest of 4,096 to 65,536 or near it
PEER_ROWS = 10_000  # clean rows that PyOD fits
PEERS = {"KNN": 20, "AutoEncoder": 1}  # by name: of how many rows of a night one is judged
SMALL = 'data.shard_bytes="8 MB"'  # for nights of fewer rows
PLAIN = JOB.replace('"64 MB"', '"32 MB"')
LOOP = "plain torch loop"
TABLE_LOOP = "plain torch loop, from Parquet"


@dataclass(frozen=True)
class Cost:
    """CPU seconds of a process, and its peak memory in MiB."""

    cpu: float
    peak: float


@dataclass(frozen=True)
class Workload:
    """Costs of a night of `rows` rows, and of a quarter of it; against: name of another one."""

    name: str
    rows: int
    quarter: Cost
    whole: Cost
    against: str = LOOP

    @property
    def microseconds(self) -> float:
        """CPU time of one row, without start-up."""
        return (self.whole.cpu - self.quarter.cpu) / (self.rows * 0.75) * 1e6


def measure(line: Sequence[object]) -> Cost:
    """Run a command in a fresh process and measure it."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(  # noqa: S603 (our own command)
        [*map(str, line)],
        stdout=subprocess.DEVNULL,
        env=env,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{line} exited with {process.returncode}"
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def compare(
    name: str, rows: int, folder: Path, line: Sequence[object], *, suffix: str = "h5"
) -> Workload:
    """Measure a command on both nights; `line` lacks the file."""
    costs = []
    for count in (rows // 4, rows):
        path = night(folder, count, suffix)
        forget_scores(folder)
        costs.append(measure([*line, path]))
    return Workload(name, rows, *costs)


def forget_scores(folder: Path) -> None:
    """Delete scored nights: a night that is scored again is also compared with what it was."""
    for name in ("scores", "superseded", "reports"):
        shutil.rmtree(folder / "workspace" / name, ignore_errors=True)


def compare_tables(job: Path, rows: int, folder: Path) -> list[Workload]:
    """Measure the loop and the score by error on nights in Parquet."""
    loop = [sys.executable, __file__, "--loop"]
    return [
        replace(compare(name, rows, folder, line, suffix="parquet"), against=TABLE_LOOP)
        for name, line in ((TABLE_LOOP, loop), ("score, by error, from Parquet", score(job)))
    ]


def night(folder: Path, rows: int, suffix: str) -> Path:
    """Return the file of a night, written if it does not exist yet."""
    path = folder / f"night-{rows}.{suffix}"
    if not path.exists():
        WRITERS[suffix](path, rows)
    return path


def score(job: Path, *settings: str) -> list[object]:
    """Return the command that scores a file by a job, without the file."""
    words = [each for text in settings for each in ("--set", text)]
    fixed = ["--no-prefect", "--force", "--date", DATE]
    return [NIGHTGLASS, "score", job, *fixed, *words, "--source"]


def plain_loop(path: Path) -> None:
    """Read, scale, forward, error: a network of the same widths as the job's, without a report."""
    import torch  # late: the parent does not need it
    from torch import nn

    widths = (FEATURES, 64, 16, 64, FEATURES)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    network = nn.Sequential(*layers[:-1])
    errors, start = np.empty(count_rows(path), np.float32), 0
    with torch.inference_mode():
        for rows in pieces_read(path):
            scaled = (torch.from_numpy(rows) - 0.5) / 2.0
            found = (network(scaled) - scaled).square().mean(dim=1)
            errors[start : start + len(rows)] = found.numpy()
            start += len(rows)
    np.save(path.with_suffix(".npy"), errors)


def count_rows(path: Path) -> int:
    """Count the rows of a night."""
    if path.suffix == ".parquet":
        return int(pq.read_metadata(path).num_rows)
    with h5py.File(path) as file:
        return len(file["rows"])


def pieces_read(path: Path) -> Iterator[NDArray[np.float32]]:
    """Read a night in pieces of LOOP_ROWS rows."""
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as table:
            for batch in table.iter_batches(LOOP_ROWS, use_threads=False):
                yield batch.to_tensor().to_numpy()
        return
    with h5py.File(path) as file:
        rows = file["rows"]
        for start in range(0, len(rows), LOOP_ROWS):
            yield rows[start : start + LOOP_ROWS]


def peer(name: str, clean: Path, path: Path) -> None:
    """Fit a detector of PyOD to clean rows, and judge some rows of a file."""
    detectors = {"KNN": "pyod.models.knn", "AutoEncoder": "pyod.models.auto_encoder"}
    detector = getattr(importlib.import_module(detectors[name]), name)()
    with h5py.File(clean) as file:
        rows = file["rows"][:PEER_ROWS]
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    detector.fit((rows - mean) / deviation)
    with h5py.File(path) as file:
        judged = file["rows"][: len(file["rows"]) // PEERS[name]]
    detector.decision_function((judged - mean) / deviation)


def compare_peers(rows: int, folder: Path) -> list[Workload]:
    """Measure PyOD on nights of so many rows, or on fewer rows; nothing if it is not installed."""
    if importlib.util.find_spec("pyod") is None:
        return []
    found = []
    for name, share in PEERS.items():
        line = [sys.executable, __file__, "--peer", name, folder / "clean.h5"]
        whole = compare(f"PyOD {name}, {PEER_ROWS:,} clean rows", rows, folder, line)
        found.append(replace(whole, rows=rows // share))
    return found


def prepare(folder: Path) -> tuple[Path, Path, Path]:
    """Train the plain network, also on a table, and the one that `init` proposes.

    Returns the job files.
    """
    plain, table, default = (folder / f"{each}.toml" for each in ("plain", "table", "default"))
    for job, suffix in ((plain, "h5"), (table, "parquet")):
        WRITERS[suffix](folder / f"clean.{suffix}", PIECE)
        text = PLAIN.format(suffix=suffix).replace('"wide"', f'"{job.stem}"')
        job.write_text(text, encoding="utf-8")
    line = [NIGHTGLASS, "init", folder / "clean.h5"]
    default.write_bytes(
        subprocess.run(  # noqa: S603 (our own command)
            line,
            check=True,
            capture_output=True,
        ).stdout
    )
    for job in (plain, table, default):
        measure([NIGHTGLASS, "train", job, "--no-prefect"])
    return plain, table, default


def run(rows: int, folder: Path) -> list[Workload]:
    """Measure all workloads, the plain loop first."""
    plain, table, default = prepare(folder)
    loop = [sys.executable, __file__, "--loop"]
    fewer = rows // 4  # of what takes longer
    return [
        compare(LOOP, rows, folder, loop),
        compare("score, by error", rows, folder, score(plain)),
        *compare_tables(table, rows, folder),
        compare("score, error and relative", rows, folder, score(plain, 'score.also=["relative"]')),
        compare("score, by novelty", fewer, folder, score(plain, SMALL, "score.by=novelty")),
        compare("default job for a table", fewer, folder, score(default, SMALL)),
        compare(
            "the same network, by error", fewer, folder, score(default, SMALL, "score.by=error")
        ),
        *compare_peers(fewer, folder),
    ]


def show(found: Sequence[Workload]) -> None:
    """Print the table; ratios are to the loop over the same file."""
    ratios = ratios_of(found)
    print_head("what", "rows", "µs of CPU a row", "ratio", "CPU s", "MiB, 1/4 of rows", "MiB")
    for each in found:
        print_row(
            each.name,
            f"{each.rows:,}",
            f"{each.microseconds:.2f}",
            f"{ratios[each.name]:.2f}",
            f"{each.whole.cpu:.1f}",
            f"{each.quarter.peak:.0f}",
            f"{each.whole.peak:.0f}",
        )


def ratios_of(found: Sequence[Workload]) -> dict[str, float]:
    """Return the time of a row by workload, in that of the loop it is compared with."""
    times = {each.name: each.microseconds for each in found}
    return {each.name: each.microseconds / times[each.against] for each in found}


def to_json(found: Sequence[Workload]) -> str:
    """Return all figures, with the machine."""
    ratios = ratios_of(found)
    entries = [
        {**asdict(each), "microseconds": each.microseconds, "ratio": ratios[each.name]}
        for each in found
    ]
    return json.dumps({"format_version": 1, "machine": machine(), "workloads": entries}, indent=2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_600_000, help="a multiple of 1,600,000")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--loop", type=Path, help="only run the plain loop over a file")
    parser.add_argument("--peer", nargs=3, help="only run a detector of PyOD: its name, two files")
    options = parser.parse_args()
    if options.loop:
        plain_loop(options.loop)
        return
    if options.peer:
        name, clean, path = options.peer
        peer(name, Path(clean), Path(path))
        return
    print(f"Machine: {machine()}\n")
    with tempfile.TemporaryDirectory() as folder:
        found = run(options.rows, Path(folder))
    show(found)
    if options.json:
        options.json.write_text(to_json(found), encoding="utf-8")


if __name__ == "__main__":
    main()
