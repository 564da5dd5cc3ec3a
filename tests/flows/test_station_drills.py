"""Fault drills with a real server and a real worker: what an operator sees, and that a later run makes the night whole, in the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time

import psutil
import pytest
from bench import Bench, tree
from nights import promoted_on
from station import Station, until

pytestmark = [pytest.mark.slow, pytest.mark.drill, pytest.mark.filterwarnings("default")]
DAYS = iter(f"2026-10-{day:02d}" for day in range(1, 29))
SHARDS = ["data.shard_bytes=1 MB"]


@pytest.fixture(scope="module")
def station(trained_folder, tmp_path_factory):
    """A server with a small job deployed, and a worker; runs that send no heartbeat for 45 s count as dead."""
    folder = tmp_path_factory.mktemp("drills")
    shutil.copytree(trained_folder, folder / "job", copy_function=shutil.copy2)
    found = Station(folder, NIGHTGLASS_HEARTBEAT="15", PREFECT_FLOWS_HEARTBEAT_FREQUENCY="30")
    found.bench = Bench(folder / "job")
    promoted_on(found.bench, "2026-12-01")
    try:
        found.start_server()
        found.bootstrap(found.bench.job)
        found.start_worker()
        yield found
    finally:
        found.stop()


@pytest.fixture
def at_work(station, tmp_path):
    """A night that is being scored, some of its shards done: the data date, the run, and an unbroken copy to compare with."""
    day = next(DAYS)
    whole = tmp_path / "whole"
    station.bench.night(day, n=1_000_000, outliers=20)
    shutil.copytree(station.bench.folder, whole, copy_function=shutil.copy2)
    run = station.start_run("nightly/small", date=day, settings=SHARDS)
    work = station.bench.workspace / f".work/small-score-{day}"
    until(lambda: list(work.glob("parts-*/note-*.json")), seconds=120, what="a first shard")
    return day, run, Bench(whole)


@pytest.fixture
def told(request):
    """Keeps what was seen and how long it took, for the table; a file where NIGHTGLASS_DRILLS names one."""
    began = time.monotonic()
    seen: list[str] = []
    yield seen
    if path := os.environ.get("NIGHTGLASS_DRILLS"):
        with open(path, "a") as file:  # noqa: PTH123 (appending)
            file.write(json.dumps([request.node.name, *seen, round(time.monotonic() - began, 1)]) + "\n")


def whole_again(station: Station, day: str, whole: Bench) -> bool:
    """Whether a run by hand makes the night whole: the bytes of one that nothing happened to."""
    assert station.ended(station.start_run("nightly/small", date=day, settings=SHARDS))[0] == "COMPLETED"
    return same(station, day, whole)


def same(station: Station, day: str, whole: Bench) -> bool:
    assert whole.score("--set", *SHARDS, "--no-prefect", day=day).code == 0
    folders = (f"scores/small/date={day}", f"reports/small/{day}")
    return all(tree(whole.workspace / each) == tree(station.bench.workspace / each) != {} for each in folders)


def kill_all(process: int) -> None:
    """Kill -9 a process and all below it, as the kernel does when memory is short or a machine goes down."""
    for each in [*psutil.Process(process).children(recursive=True), psutil.Process(process)]:
        each.kill()


def test_a_worker_killed_in_a_shard_shows_as_crashed_and_the_next_run_finishes(station, at_work, told):
    day, run, whole = at_work
    kill_all(station.worker.pid)
    station.worker.wait()
    assert not (station.bench.workspace / f"reports/small/{day}").exists()
    station.start_worker()

    told += station.ended(run, seconds=150)
    assert told[0] == "CRASHED"
    assert whole_again(station, day, whole)


def test_a_worker_told_to_stop_leaves_nothing_half_and_the_next_run_finishes(station, at_work, told):
    day, _, whole = at_work
    station.worker.send_signal(signal.SIGTERM)
    station.worker.wait(60)
    station.start_worker()

    assert whole_again(station, day, whole)


def test_a_run_cancelled_in_the_ui_is_finished_by_the_next(station, at_work, told):
    day, run, whole = at_work
    station.post(f"flow_runs/{run}/set_state", state={"type": "CANCELLING"})
    told += station.ended(run)

    assert told[0] == "CANCELLED"
    assert whole_again(station, day, whole)
