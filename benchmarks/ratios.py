"""Ratios that a night on a real machine depends on: resuming, Dask, busy cores, flat memory.

    python benchmarks/ratios.py                       about ten minutes on an idle machine
    python benchmarks/ratios.py resumed-night --json ratios.json

Each check compares two runs of a command in fresh processes. CPU seconds are of the process, its
start and its report included; they hold on a machine that is shared. Wall time is the fastest of
several runs, taken in turns. Rows are 64 float32 columns in HDF5.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import h5py
import psutil
from commands import NIGHTGLASS
from datasets import machine
from markdown_table import print_head, print_row
from memory import FEATURES, JOB, PIECE, pieces, write_hdf5
from overhead import start_server

DATE = "2026-01-01"
SHARDS, KILLED_AFTER = 100, 60
CLEAN_ROWS = 20_000
NIGHT_ROWS = 400_000
STORE_ROWS = 1_600_000
WALL_REPEATS = 2
POLL = 0.02  # seconds between two looks at a running command
DEEP = "hidden = [4096, 1024]"  # so that scoring a shard takes a third of a second
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Usage:
    """CPU and wall seconds of a command, and its peak memory in MiB."""

    cpu: float
    wall: float
    peak: float


@dataclass(frozen=True)
class Ratio:
    """A measured ratio and its limit. same: whether both runs end in the same bytes."""

    what: str
    against: str
    measured_in: str
    ratio: float
    limit: str
    same: bool | None = None


def start(line: Sequence[object], env: Mapping[str, str] = ONE_THREAD) -> subprocess.Popen[bytes]:
    """Start a command; `env` is added to the environment."""
    inherited = {name: value for name, value in os.environ.items() if name not in ONE_THREAD}
    words, out = [*map(str, line)], subprocess.DEVNULL
    return subprocess.Popen(  # noqa: S603 (our own command)
        words,
        stdout=out,
        stderr=subprocess.PIPE,
        env={**inherited, **env},
    )


def finish(process: subprocess.Popen[bytes], began: float, *, code: int = 0) -> Usage:
    """Wait for a command that must exit with `code`."""
    assert process.stderr is not None
    messages = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == code, f"{process.args}: {process.returncode}\n{messages}"
    wall = time.perf_counter() - began
    return Usage(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def run(line: Sequence[object], env: Mapping[str, str] = ONE_THREAD) -> Usage:
    """Run a command to its end."""
    began = time.perf_counter()
    return finish(start(line, env), began)


def run_and_kill(line: Sequence[object], due: Callable[[subprocess.Popen[bytes]], bool]) -> None:
    """Run a command and kill it as soon as `due`."""
    began = time.perf_counter()
    process = start(line)
    while not due(process):
        assert process.poll() is None, f"{line} ended before it was to be killed"
        time.sleep(POLL)
    process.kill()
    finish(process, began, code=-signal.SIGKILL)


def write_job(folder: Path, *edits: tuple[str, str], name: str = "wide") -> Path:
    """Write a job file whose workspace is its own; edits: texts to replace."""
    text = JOB.format(suffix="h5").replace('"wide"', f'"{name}"', 1)
    for old, new in edits:
        assert old in text, f"the job has no '{old}'"
        text = text.replace(old, new)
    path = folder / f"{name}.toml"
    path.write_text(f'workspace = "workspace-{name}"\n{text}', encoding="utf-8")
    return path


def command(word: str, job: Path, *words: object) -> list[object]:
    """Return the line of a nightglass command without Prefect."""
    return [NIGHTGLASS, word, job, *words, "--no-prefect"]


def score(job: Path, night: Path) -> list[object]:
    """Return the line that scores a night, also if it has been scored."""
    return command("score", job, "--date", DATE, "--force", "--source", night)


def contents(folder: Path, pattern: str) -> list[bytes]:
    """Return the content of all matching files below a folder, by path."""
    return [path.read_bytes() for path in sorted(folder.rglob(pattern))]


def deep_night(folder: Path, name: str) -> tuple[Path, Path]:
    """Return a trained job with a deep network, and a night of SHARDS shards."""
    night = folder / "night.h5"
    if not night.exists():
        write_hdf5(night, NIGHT_ROWS)
    shard = f'"{NIGHT_ROWS * FEATURES * 4 // SHARDS} B"'
    job = write_job(folder, ('"64 MB"', shard), ("hidden = [64]", DEEP), name=name)
    run(command("train", job, "--set", "train.epochs=1"))
    return job, night


def resumed_night(folder: Path) -> Iterator[Ratio]:
    """Kill a night after most of its shards, and score it again."""
    job, night = deep_night(folder, "deep")
    line, workspace = score(job, night), folder / "workspace-deep"
    whole = run(line)
    expected = contents(workspace / "scores", "part-*.parquet")
    for results in ("scores", "reports"):
        shutil.rmtree(workspace / results)
    run_and_kill(line, lambda _: len([*workspace.rglob("note-*.json")]) >= KILLED_AFTER)
    again = run(line)
    same = contents(workspace / "scores", "part-*.parquet") == expected
    what = f"{SHARDS} shards, killed after {KILLED_AFTER}, run again"
    yield Ratio(what, "unbroken", "CPU s", again.cpu / whole.cpu, "≤ 0.45", same)


def resumed_training(folder: Path) -> Iterator[Ratio]:
    """Kill a training at half of its time, and run it again."""
    edits = ("hidden = [64]", "hidden = [1024]"), ("epochs = 2", "epochs = 250")
    jobs = [write_job(folder, *edits, name=name) for name in ("unbroken", "broken")]
    lines = [command("train", job) for job in jobs]
    whole = run(lines[0])

    def is_half_done(process: subprocess.Popen[bytes]) -> bool:
        return sum(psutil.Process(process.pid).cpu_times()[:2]) >= whole.cpu / 2

    run_and_kill(lines[1], is_half_done)
    again = run(lines[1])
    weights = [contents(folder / f"workspace-{job.stem}", "model.safetensors") for job in jobs]
    what, same = "training, killed at half, resumed", weights[0] == weights[1]
    yield Ratio(what, "unbroken", "CPU s", again.cpu / whole.cpu, "≤ 0.60", same)


@contextmanager
def busy_cores() -> Iterator[None]:
    """Keep every core busy with another process."""
    spin = [sys.executable, "-c", "while True: pass"]
    others = [
        subprocess.Popen(  # noqa: S603 (our own command)
            spin,
        )
        for _ in range(os.cpu_count() or 1)
    ]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def unset_threads(folder: Path) -> Iterator[Ratio]:
    """Score by the job that `init` writes while all cores are busy, with and without a setting."""
    job, night = folder / "default.toml", folder / "some.h5"
    line = [NIGHTGLASS, "init", folder / "clean.h5"]
    job.write_bytes(
        subprocess.run(  # noqa: S603 (our own command)
            line,
            check=True,
            capture_output=True,
        ).stdout
    )
    run(command("train", job))
    write_hdf5(night, NIGHT_ROWS)
    unset: list[Usage] = []
    fixed: list[Usage] = []
    line = score(job, night)
    with busy_cores():
        for _ in range(WALL_REPEATS):
            unset.append(run(line, {}))
            fixed.append(run(line))
    what = "default job, all cores busy, OMP_NUM_THREADS unset"
    for unit, name in (("CPU s", "cpu"), ("wall s", "wall")):
        ours, theirs = (min(getattr(each, name) for each in runs) for runs in (unset, fixed))
        yield Ratio(what, "set to 1", unit, ours / theirs, "≤ 1.20")


def flat_memory(folder: Path) -> Iterator[Ratio]:
    """Encode a quarter of the rows and all rows."""
    job = write_job(folder, ('"64 MB"', '"32 MB"'), name="store")  # a quarter is four shards
    run(command("train", job))
    peaks = []
    for rows in (STORE_ROWS // 4, STORE_ROWS):
        path = folder / f"rows-{rows}.h5"
        write_hdf5(path, rows)
        out = folder / f"store-{rows}"
        peaks.append(run(command("encode", job, "--source", path, "--out", out)).peak)
    what = f"peak memory of encode, {STORE_ROWS:,} rows"
    yield Ratio(what, "a quarter of them", "MiB", peaks[1] / peaks[0], "≤ 1.05")


@contextmanager
def prefect_server(home: Path) -> Iterator[None]:
    """Run a server that commands and workers started meanwhile use."""
    os.environ |= ONE_THREAD
    server = start_server(home)
    try:
        yield
    finally:
        server.terminate()
        server.wait()


@contextmanager
def dask_cluster(workers: int) -> Iterator[tuple[str, list[psutil.Process]]]:
    """Yield the address of a scheduler on this machine, and its workers."""
    from distributed import LocalCluster  # only here the extra is needed

    with LocalCluster(
        n_workers=workers, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        ids = [nanny.process.pid for nanny in cluster.workers.values()]
        yield cluster.scheduler_address, [psutil.Process(each) for each in ids]


def cpu_of(process: psutil.Process) -> float:
    """Return the CPU seconds of a process so far."""
    return sum(process.cpu_times()[:2])


def dask_workers(folder: Path) -> Iterator[Ratio]:
    """Score a night by one worker and by two; what two cores would take is that of the busier."""
    job, night = deep_night(folder, "dask")
    walls, busiest, scores = [], [], []
    with prefect_server(folder / "prefect"):
        for workers in (1, 2):
            with dask_cluster(workers) as (address, processes):
                before = [cpu_of(each) for each in processes]
                dask = ["--set", "score.runner=dask", "--set", f"score.dask_address={address}"]
                walls.append(run([*score(job, night)[:-1], "--prefect", *dask]).wall)
                after = [cpu_of(each) for each in processes]
                busiest.append(max(b - a for a, b in zip(before, after, strict=True)))
            scores.append(contents(folder / "workspace-dask" / "scores", "part-*.parquet"))
    what, same = "two Dask workers", scores[0] == scores[1]
    yield Ratio(what, "one", "CPU s of the busier", busiest[0] / busiest[1], "≥ 1.60", same)
    yield Ratio(what, "one", "wall s", walls[0] / walls[1], "≥ 1.60", same)


CHECKS: dict[str, Callable[[Path], Iterator[Ratio]]] = {
    "resumed-night": resumed_night,
    "resumed-training": resumed_training,
    "unset-threads": unset_threads,
    "flat-memory": flat_memory,
    "dask-workers": dask_workers,
}


def show(found: Ratio) -> None:
    """Print the row of a ratio."""
    same, ratio = {True: "yes", False: "NO", None: ""}[found.same], f"{found.ratio:.2f}"
    print_row(found.what, found.against, found.measured_in, ratio, found.limit, same)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checks", nargs="*", choices=[*CHECKS, []], help="default: all")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options, found = parser.parse_args(), []
    print(f"Machine: {machine()}\n")
    print_head("what", "against", "measured in", "ratio", "limit", "same bytes")
    for name in options.checks or CHECKS:
        with tempfile.TemporaryDirectory() as folder:
            with h5py.File(Path(folder) / "clean.h5", "w") as clean:
                clean["rows"] = next(pieces(PIECE))[:CLEAN_ROWS]
            for ratio in CHECKS[name](Path(folder)):
                show(ratio)
                found.append(ratio)
    if options.json:
        content = {"format_version": 1, "machine": machine(), "ratios": [asdict(r) for r in found]}
        options.json.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
