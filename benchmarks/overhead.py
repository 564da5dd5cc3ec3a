"""Prefect's share of a night of 100 shards: the same fixed work by plain threads and as Prefect tasks, on a server of its own.

    python benchmarks/overhead.py

Wall time depends on what else the machine does, so CPU time is counted too: of this process and of the server, until the server has
stored everything. What a task costs does not depend on how long its shard takes, hence the share for shards of 30 s.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
import psutil

SHARDS, WORKERS, LONG = 100, 2, 30.0
PRODUCTS = 60  # matrix products in one shard


def work(_shard: int) -> float:
    """One shard: always the same sums."""
    matrix = np.full((400, 400), 1e-3)
    for _ in range(PRODUCTS):
        matrix = matrix @ matrix
    return float(matrix[0, 0])


def start_server(home: Path) -> subprocess.Popen[bytes]:
    """A server on a free port; PREFECT_API_URL then names it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ |= {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "ERROR",
    }
    words = [
        Path(sys.executable).with_name("prefect"),
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 (our own words)
    os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    while True:
        try:
            urllib.request.urlopen(f"{os.environ['PREFECT_API_URL']}/health", timeout=5).close()  # noqa: S310 (our own address)
            return server
        except OSError:
            time.sleep(0.5)


def cpu(*processes: psutil.Process) -> float:
    """CPU seconds of processes and what is below them."""
    every = [each for process in processes for each in (process, *process.children(recursive=True))]
    return sum(sum(each.cpu_times()[:2]) for each in every)


def settled(server: psutil.Process) -> None:
    """Wait until the server has nothing left to store.

    Less than a tenth of a core for five seconds.
    """
    before = cpu(server)
    while True:
        time.sleep(5)
        now = cpu(server)
        if now - before < 0.5:
            return
        before = now


def main() -> None:
    """Measure, compute, print."""
    with tempfile.TemporaryDirectory() as home:
        process = start_server(Path(home))
        try:
            measure(psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait()


def measure(server: psutil.Process) -> None:
    """Both ways, and the share."""
    from prefect import flow
    from prefect.task_runners import ThreadPoolTaskRunner

    from flows.engine.run_all import run_in_threads
    from flows.orchestration.prefect_tasks import run_as_tasks

    @flow(name="night", task_runner=ThreadPoolTaskRunner(max_workers=WORKERS))
    def night(shards: int) -> int:
        return len(list(run_as_tasks("score")(work, range(shards))))

    own = psutil.Process()
    night(2)  # imports, connections, first rows of the database
    settled(server)
    idle = cpu(server)
    time.sleep(10)
    idle = (cpu(server) - idle) / 10
    figures = {}
    for name, run in (
        ("threads", lambda: list(run_in_threads(WORKERS)(work, range(SHARDS)))),
        ("Prefect", lambda: night(SHARDS)),
    ):
        began, mine, its = time.monotonic(), sum(own.cpu_times()[:2]), cpu(server)
        run()
        wall = time.monotonic() - began
        settled(server)
        seconds = time.monotonic() - began
        figures[name] = (wall, sum(own.cpu_times()[:2]) - mine, cpu(server) - its - idle * seconds)
        print(
            f"{name:8} wall {wall:6.1f} s, CPU of the flow {figures[name][1]:6.1f} s, of the server beyond idling {figures[name][2]:6.1f} s"
        )
    extra = sum(figures["Prefect"][1:]) - sum(figures["threads"][1:])
    shard = figures["threads"][1] / SHARDS
    print(
        f"a shard here takes {shard:.2f} s of CPU; Prefect adds {1000 * extra / SHARDS:.0f} ms of CPU a shard: {extra / (SHARDS * shard):.1%}"
    )
    print(f"for shards of {LONG:.0f} s: {extra / (SHARDS * LONG):.2%} of a night of {SHARDS}")


if __name__ == "__main__":
    main()
