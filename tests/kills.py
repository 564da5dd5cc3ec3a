"""Commands in processes of their own, killed with -9 at random moments, or without the rights of root."""

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

SAMPLE_VALUES = 1 << 13  # of the contest, so that kills meet the shards and not the plan alone
PROCESSES = multiprocessing.get_context(
    "forkserver"
)  # its processes start at once: what they need is imported already
PROCESSES.set_forkserver_preload(["flows.cli.app", "flows.orchestration.local", "bench"])


def killed_until_done(
    line: list[object],
    *,
    longest: float,
    results: list[Path],
    kills: int = 10,
    look: Callable[[], None] = lambda: None,
) -> None:
    """Run a command, killed with -9 at random moments of its work, then to its end; `look` at what is there after each kill.

    A run that was done before its moment counts for nothing: its `results` are thrown away, and moments come sooner from then on.
    """
    moments = random.Random(3)
    while kills:
        process = begin(line)
        process.join(moments.uniform(0.1, 1.0) * longest)
        at_work = process.exitcode is None
        process.kill()
        process.join()
        kills -= at_work
        longest *= 1 if at_work else 0.8
        for folder in () if at_work else results:
            shutil.rmtree(folder, ignore_errors=True)
        look()
    done(line)


def begin(line: list[object]) -> Any:
    """Start a command in a process of its own."""
    process = PROCESSES.Process(
        target=_run_quickly, args=([*map(str, line), "--no-prefect", "--json"],)
    )
    process.start()
    return process


def done(line: list[object]) -> float:
    """Run a command to its end; return the seconds it took."""
    began = time.monotonic()
    process = begin(line)
    process.join()
    assert process.exitcode == 0
    return time.monotonic() - began


def as_anyone(line: list[object], said: Path) -> int:
    """The exit code of a command that the rights of files bind, even where root runs the tests.

    Its words are in `said`.
    """
    process = PROCESSES.Process(target=_run_bound, args=([*map(str, line), "--json"], said))
    process.start()
    process.join()
    return int(process.exitcode or 0)


def _run_quickly(words: list[str]) -> None:
    flows.encoding.plan.SAMPLE_VALUES = SAMPLE_VALUES
    run_command(words)


def _run_bound(words: list[str], said: Path) -> None:
    said.touch()
    no_capabilities = (ctypes.c_uint32 * 6)()
    assert ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), no_capabilities) == 0
    run_command(words, said)
