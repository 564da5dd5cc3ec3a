"""Overhead of Prefect for a night of 100 shards: the same work in threads and as Prefect tasks.

    python benchmarks/overhead.py

Wall time depends on the load of the machine, so CPU time is measured too: of this process and of
its own server, until the server has stored everything. The cost per task does not depend on how
long a shard takes, which gives the share for shards of 30 s.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

SHARDS, WORKERS, LONG = 100, 2, 30.0
PRODUCTS = 60  # matrix products in one shard


@dataclass(frozen=True)
class Cost:
    """Wall seconds of a night, and CPU seconds of the flow and of the server beyond idling."""

    wall: float
    flow: float
    server: float


def work(_shard: int) -> float:
    """One shard: always the same arithmetic."""
    matrix = np.full((400, 400), 1e-3)
    for _ in range(PRODUCTS):
        matrix = matrix @ matrix
    return float(matrix[0, 0])


def start_server(home: Path) -> subprocess.Popen[bytes]:
    """Start a server on a free port and set PREFECT_API_URL to its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ |= {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "ERROR",
    }
    prefect = Path(sys.executable).with_name("prefect")
    words = [prefect, "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 (our own command)
    os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    wait_for(f"{os.environ['PREFECT_API_URL']}/health")
    return server


def wait_for(url: str) -> None:
    """Wait until the server answers."""
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 (our own address)
            return
        except OSError:
            time.sleep(0.5)


def own_cpu(process: psutil.Process) -> float:
    """CPU seconds of one process, user and system."""
    return sum(process.cpu_times()[:2])


def tree_cpu(process: psutil.Process) -> float:
    """CPU seconds of a process and its descendants."""
    return sum(own_cpu(each) for each in (process, *process.children(recursive=True)))


def wait_until_idle(server: psutil.Process) -> None:
    """Wait until the server uses less than a tenth of a core for five seconds."""
    before = tree_cpu(server)
    while True:
        time.sleep(5)
        now = tree_cpu(server)
        if now - before < 0.5:
            return
        before = now


def idle_load(server: psutil.Process) -> float:
    """CPU seconds per second of the idle server."""
    before = tree_cpu(server)
    time.sleep(10)
    return (tree_cpu(server) - before) / 10


def measure(run: Callable[[], object], server: psutil.Process, idle: float) -> Cost:
    """Run a night, wait until the server is idle, and measure both."""
    own = psutil.Process()
    began, flow, server_cpu = time.monotonic(), own_cpu(own), tree_cpu(server)
    run()
    wall = time.monotonic() - began
    wait_until_idle(server)
    seconds = time.monotonic() - began
    beyond_idling = tree_cpu(server) - server_cpu - idle * seconds
    return Cost(wall, own_cpu(own) - flow, beyond_idling)


def compare(server: psutil.Process) -> None:
    """Measure plain threads and Prefect tasks, and print the overhead."""
    from prefect import flow
    from prefect.task_runners import ThreadPoolTaskRunner

    from flows.engine.run_all import run_in_threads
    from flows.orchestration.prefect_tasks import run_as_tasks

    @flow(name="night", task_runner=ThreadPoolTaskRunner(max_workers=WORKERS))
    def night(shards: int) -> int:
        return len(list(run_as_tasks("score")(work, range(shards))))

    night(2)  # warm up: imports, connections, first database rows
    wait_until_idle(server)
    idle = idle_load(server)
    threads = measure(lambda: list(run_in_threads(WORKERS)(work, range(SHARDS))), server, idle)
    prefect = measure(lambda: night(SHARDS), server, idle)
    show("threads", threads)
    show("Prefect", prefect)
    show_overhead(threads, prefect)


def show(name: str, cost: Cost) -> None:
    print(f"{name:8} wall {cost.wall:6.1f} s, CPU of the flow {cost.flow:6.1f} s,", end=" ")
    print(f"of the server beyond idling {cost.server:6.1f} s")


def show_overhead(threads: Cost, prefect: Cost) -> None:
    extra = prefect.flow + prefect.server - threads.flow - threads.server
    shard = threads.flow / SHARDS
    print(f"One shard takes {shard:.2f} s of CPU; Prefect adds", end=" ")
    print(f"{1000 * extra / SHARDS:.0f} ms of CPU per shard: {extra / (SHARDS * shard):.1%}")
    print(f"For shards of {LONG:.0f} s: {extra / (SHARDS * LONG):.2%} of a night of {SHARDS}")


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        process = start_server(Path(home))
        try:
            compare(psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
