"""`nightglass score` on Parquet in a bucket and on the local file: time, memory, bytes fetched.

    python benchmarks/buckets.py --megabytes 1000       five minutes and 2 GB of disk
    python benchmarks/buckets.py --group-rows 100000    row groups that are fetched as a whole

64 columns of float32 and one of free text, which is not used; the job file that `init` writes. The
server is another process of the same machine, so a short CPU time says more than a short wall time
where others use the machine. The two runs alternate; medians are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.parquet as pq
from commands import NIGHTGLASS
from datasets import machine
from markdown_table import print_head, print_row
from memory import FEATURES, PIECE, pieces, to_table
from range_server import Server, serving

ROW_BYTES = 4 * FEATURES
UNUSED = "note"
GROUP_ROWS = 1 << 20  # as pyarrow writes by default


@dataclass(frozen=True)
class Run:
    """Seconds of wall and CPU time, peak memory in MiB, GET requests, and bytes fetched."""

    wall: float
    cpu: float
    peak: float
    requests: int
    fetched: int


def write_rows(path: Path, rows: int, group_rows: int) -> None:
    """Write Parquet in row groups of at most `group_rows` rows."""
    held: list[pa.Table] = []
    writer = None
    for piece in pieces(rows):
        notes = [f"row {row} of a free text that no model reads" for row in range(PIECE)]
        held.append(to_table(piece).append_column(UNUSED, pa.array(notes)))
        writer = writer or pq.ParquetWriter(path, held[0].schema, use_dictionary=False)
        if len(held) * PIECE >= group_rows:
            writer.write_table(pa.concat_tables(held), row_group_size=group_rows)
            held.clear()
    assert writer is not None, "fewer rows than one piece"
    if held:
        writer.write_table(pa.concat_tables(held), row_group_size=group_rows)
    writer.close()


def used_bytes(path: Path) -> int:
    """Return the bytes of the columns in use, as stored."""
    footer = pq.read_metadata(path)
    groups = [footer.row_group(index) for index in range(footer.num_row_groups)]
    columns = [group.column(index) for group in groups for index in range(group.num_columns)]
    return sum(each.total_compressed_size for each in columns if each.path_in_schema != UNUSED)


def nightglass(*words: object) -> tuple[str, float, float, float]:
    """Run a command; return its output, wall and CPU seconds, and peak memory in MiB."""
    began = time.perf_counter()
    with subprocess.Popen([NIGHTGLASS, *map(str, words)], stdout=subprocess.PIPE, text=True) as run:  # noqa: S603 (our own command)
        assert run.stdout is not None
        out = run.stdout.read()
        _, status, usage = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
    assert run.returncode == 0, f"{words} exited with {run.returncode}"
    wall, cpu = time.perf_counter() - began, usage.ru_utime + usage.ru_stime
    return out, wall, cpu, usage.ru_maxrss / 1024


def score(job: Path, source: str, day: str, server: Server) -> Run:
    """Score a file or an object."""
    server.counted()
    words = ("score", job, "--source", source, "--date", day, "--json", "--no-prefect")
    out, wall, cpu, peak = nightglass(*words)
    assert json.loads(out)["rows"], out
    return Run(wall, cpu, peak, *server.counted())


def compare(folder: Path, server: Server, pairs: int) -> None:
    """Train on the clean rows, score the night several times from both places, and print."""
    job, used = folder / "job.toml", used_bytes(folder / "night.parquet")
    job.write_text(nightglass("init", folder / "clean.parquet")[0])
    nightglass("train", job, "--no-prefect", "--set", "train.epochs=2")
    places = {"local": str(folder / "night.parquet"), "bucket": "s3://rows/night.parquet"}
    runs: dict[str, list[Run]] = {place: [] for place in places}
    print_head("rows from", "wall s", "CPU s", "peak MiB", "requests", "fetched / used")
    for pair in range(1, pairs + 1):
        for month, (place, source) in enumerate(places.items(), start=1):
            run = score(job, source, f"2026-{month:02d}-{pair:02d}", server)
            runs[place].append(run)
            cells = f"{run.wall:.1f}", f"{run.cpu:.1f}", f"{run.peak:.0f}", f"{run.requests:,}"
            print_row(place, *cells, f"{run.fetched / used:.3f}")
    show_ratios(runs["local"], runs["bucket"])


def show_ratios(local: list[Run], bucket: list[Run]) -> None:
    """Print the medians over pairs of neighboring runs."""
    pairs = [*zip(local, bucket, strict=True)]
    speed = median(one.wall / other.wall for one, other in pairs)
    cpu = median(one.cpu / other.cpu for one, other in pairs)
    peak = median(other.peak / one.peak for one, other in pairs)
    print(f"\nSpeed from the bucket: {speed:.2f} of local by wall time, {cpu:.2f} by CPU time;")
    print(f"peak memory {peak - 1:+.1%}")


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--megabytes", type=int, default=1000, help="of the numbers")
    options.add_argument("--group-rows", type=int, default=GROUP_ROWS)
    options.add_argument("--pairs", type=int, default=3)
    given = options.parse_args()
    rows = given.megabytes * 1_000_000 // ROW_BYTES
    print(f"Machine: {machine()}\n")
    with tempfile.TemporaryDirectory() as name, serving(Path(name)) as server:
        folder = Path(name)
        chain = {"AWS_ENDPOINT_URL": server.endpoint, "AWS_REGION": "us-east-1"}
        os.environ |= {**chain, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
        write_rows(folder / "clean.parquet", PIECE, given.group_rows)
        write_rows(folder / "night.parquet", rows, given.group_rows)
        compare(folder, server, given.pairs)


if __name__ == "__main__":
    main()
