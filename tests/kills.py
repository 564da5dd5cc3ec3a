"""Commands in child processes: killed at random moments, or run without root privileges."""

from __future__ import annotations

import ctypes
import multiprocessing
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import run_command

import flows.encoding.plan

SAMPLE_VALUES = 1 << 13  # small, so that kills hit the shards and not just the plan
# a fork server starts processes fast, since it has imported what they need
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    [
        "flows.cli.app",
        "flows.orchestration.local",
        "bench",
        "matplotlib.backends.backend_svg",
        "pydantic.type_adapter",
    ]
)


def killed_until_done(
    line: list[object],
    *,
    longest: float,
    results: list[Path],
    kills: int = 10,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Run a command and kill it at random moments, `kills` times; then run it to its end.

    Calls `check` after each kill. A run that ends before it is killed does not count: its `results`
    are deleted, and later runs are killed sooner. longest: seconds of an uninterrupted run.
    """
    moments = random.Random(3)
    while kills:
        process = begin(line)
        process.join(moments.uniform(0.1, 1.0) * longest)
        was_running = process.exitcode is None
        process.kill()
        process.join()
        kills -= was_running
        if not was_running:
            longest *= 0.8
            for folder in results:
                shutil.rmtree(folder, ignore_errors=True)
        check()
    done(line)


def begin(line: list[object]) -> Any:
    """Start a command in a child process."""
    words = [*map(str, line), "--no-prefect", "--json"]
    process = PROCESSES.Process(target=_run_with_small_sample, args=(words,))
    process.start()
    return process


def done(line: list[object]) -> float:
    """Run a command to its end and return its seconds."""
    began = time.monotonic()
    process = begin(line)
    process.join()
    assert process.exitcode == 0
    return time.monotonic() - began


def run_unprivileged(line: list[object], output: Path) -> int:
    """Run a command subject to file permissions, even if root runs the tests; return its exit code.

    stdout and stderr go to `output`.
    """
    words = [*map(str, line), "--json"]
    process = PROCESSES.Process(target=_run_unprivileged, args=(words, output))
    process.start()
    process.join()
    return int(process.exitcode or 0)


def _run_with_small_sample(words: list[str]) -> None:
    flows.encoding.plan.SAMPLE_VALUES = SAMPLE_VALUES
    run_command(words)


def _run_unprivileged(words: list[str], output: Path) -> None:
    output.touch()
    no_capabilities = (ctypes.c_uint32 * 6)()
    assert ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), no_capabilities) == 0
    run_command(words, output)
