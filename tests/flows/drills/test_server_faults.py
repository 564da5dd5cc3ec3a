"""Fault drills with a Prefect server and worker: what an operator sees, and the recovered bytes.

All nights contain the same rows, so one undisturbed night is the expected result of all others.
The last drill ends the server for good, so this file runs after all others that use it.
--junitxml records the seconds until recovery.
"""

from __future__ import annotations

import shutil
import signal
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from bench import DAY, JOB, Bench, tree
from station import Station, until

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.filterwarnings("default")]
# a million clean rows flag more than the alert budget, and a FLOOD is a failed run
SHARDS = ["data.shard_bytes=1 MB", "score.rule=top"]
SET = [word for setting in SHARDS for word in ("--set", setting)]
REPORT = f"reports/small/{DAY}"
RESULTS = (f"scores/small/date={DAY}", REPORT)


@dataclass
class Night:
    """A job in its own folder, and the run that scores its night."""

    bench: Bench
    station: Station
    deployment: str
    run: str = ""
    next: str = ""
    fault: float = 0.0  # time of the fault

    def start(self, *settings: str, **environment: str) -> str:
        """Start a run of the night."""
        form = {"job": str(self.bench.job), "date": DAY, "settings": [*SHARDS, *settings]}
        return self.station.start_run(self.deployment, environment=environment, **form)

    def ended(self) -> str:
        """Wait for the end of the run; return the type of its final state."""
        return self.station.ended(self.run)[0]

    def process(self) -> psutil.Process:
        """The process of the run, which holds the night's lock."""
        lock = self.bench.workspace / f".work/small-score-{DAY}.lock"
        return psutil.Process(int(lock.read_text().split()[0]))

    def seconds(self) -> float:
        """Seconds from the fault to the report."""
        manifest = self.bench.workspace / REPORT / "rev=1/manifest.json"
        return round(manifest.stat().st_mtime - self.fault, 1)

    def results(self) -> dict[str, dict[str, bytes]]:
        """Contents of all files of scores and report."""
        return {part: tree(self.bench.workspace / part) for part in RESULTS}


@pytest.fixture(scope="module")
def undisturbed(trained_folder, tmp_path_factory):
    """The results of a night without faults."""
    bench = copy_of(trained_folder, tmp_path_factory.mktemp("undisturbed") / "job")
    assert bench.score(*SET, "--no-prefect").code == 0
    return {part: tree(bench.workspace / part) for part in RESULTS}


def copy_of(trained: Path, folder: Path) -> Bench:
    """Copy the trained job, and write a night of 64 shards."""
    shutil.copytree(trained, folder, copy_function=shutil.copy2)
    bench = Bench(folder)
    bench.night(n=1_000_000, outliers=20)
    return bench


@pytest.fixture(scope="module")
def station(on_postgres):
    """A second deployment, which runs several nights concurrently."""
    on_postgres.switch_off("nightly/small")
    job = on_postgres.folder / "drills.toml"
    job.write_text(JOB.replace('"small"', '"drills"'))
    on_postgres.bootstrap(job)
    on_postgres.ask(
        "PATCH",
        f"deployments/{on_postgres.deployment('nightly/drills')['id']}",
        concurrency_limit=9,
    )
    return on_postgres


@pytest.fixture(scope="module")
def begin(station, trained_folder, tmp_path_factory):
    """Starts runs of a night and waits for its first finished shard."""

    def start(
        *settings: str, deployment: str = "nightly/drills", runs: int = 1, **environment: str
    ) -> Night:
        night = Night(
            copy_of(trained_folder, tmp_path_factory.mktemp("night") / "job"), station, deployment
        )
        night.run = night.start(*settings, **environment)
        if runs == 2:
            night.next = night.start(*settings, **environment)
        work = night.bench.workspace / f".work/small-score-{DAY}"
        until(lambda: list(work.glob("parts-*/note-*.json")), seconds=120, what="a first shard")
        night.fault = time.time()
        return night

    return start


@contextmanager
def frozen(process: psutil.Process):
    """Suspend a process in the middle of its work."""
    process.suspend()
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            process.resume()


@pytest.fixture(scope="module")
def killed(station, begin):
    """A night whose worker is killed, and whose next run is started immediately."""
    night = begin(deployment="nightly/small")
    station.kill(station.worker)
    assert not night.results()[REPORT]
    station.start_worker()
    night.next = night.start()
    return night


@pytest.fixture(scope="module")
def stopped(killed, station, begin):
    """A night whose worker is stopped without draining."""
    night = begin()
    process = night.process()
    with frozen(process):
        station.worker.send_signal(signal.SIGTERM)
        until(lambda: has_stop_signal(process), seconds=60, what="the worker forwards the signal")
    station.worker.wait(300)
    station.start_worker()
    return night


@pytest.fixture(scope="module")
def concurrent(stopped, begin):
    """A night with two runs, one of which waits for the other."""
    night = begin(runs=2)
    with frozen(night.process()):
        until(lambda: "is using it" in logs(night), seconds=120, what="the second run waits")
    return night


@pytest.fixture(scope="module")
def cancelled(concurrent, station, begin):
    """A night whose run is cancelled."""
    night = begin()
    process = night.process()
    with frozen(process):
        station.post(f"flow_runs/{night.run}/set_state", state={"type": "CANCELLING"})
        until(lambda: has_stop_signal(process), seconds=60, what="the worker forwards the signal")
    return night


@pytest.fixture(scope="module")
def dask(cancelled, begin):
    """A night on Dask that loses one of its workers."""
    night = begin("score.runner=dask")
    workers = [
        each
        for each in night.process().children(recursive=True)
        if "multiprocessing.spawn" in " ".join(each.cmdline())
    ]
    workers[-1].kill()
    return night


@pytest.fixture(scope="module", autouse=True)
def all_started(killed, stopped, concurrent, cancelled, dask):
    """Start all nights that need the server before the first check, so that the waits overlap."""


def logs(night: Night) -> str:
    """Log messages of the subflow runs of a night's runs."""
    below = {"parent_flow_run_id": {"any_": [night.run, night.next]}}
    children = [each["id"] for each in night.station.post("flow_runs/filter", flow_runs=below)]
    return " ".join(
        each["message"]
        for each in night.station.post("logs/filter", logs={"flow_run_id": {"any_": children}})
    )


def has_stop_signal(process: psutil.Process) -> bool:
    """Whether a suspended process has a pending SIGTERM or SIGINT, or is dead."""
    if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
        return True
    pending = next(
        line
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
        if line.startswith("ShdPnd")
    )
    mask = int(pending.split()[1], 16)
    return any(mask >> (number - 1) & 1 for number in (signal.SIGTERM, signal.SIGINT))


def test_two_runs_of_one_night_write_it_once(concurrent, station, undisturbed, record_property):
    runs = (concurrent.run, concurrent.next)
    assert [station.ended(run)[0] for run in runs] == ["COMPLETED"] * 2
    messages = [station.run(run)["state"]["message"] for run in runs]
    assert ["up to date" in message for message in messages].count(True) == 1
    assert concurrent.results() == undisturbed
    record_property("seconds", concurrent.seconds())


def test_the_next_run_completes_a_run_cancelled_in_the_ui(
    cancelled, station, undisturbed, record_property
):
    assert cancelled.ended() == "CANCELLED"
    assert not cancelled.results()[REPORT]
    assert station.ended(cancelled.start())[0] == "COMPLETED"
    assert cancelled.results() == undisturbed
    record_property("seconds", cancelled.seconds())


def test_dask_gives_the_same_bytes_when_one_of_its_workers_is_killed(
    dask, undisturbed, record_property
):
    assert dask.ended() == "COMPLETED"
    assert dask.results() == undisturbed
    record_property("seconds", dask.seconds())


def test_a_run_whose_worker_is_killed_is_crashed_and_the_next_run_completes_it(
    killed, station, undisturbed, record_property
):
    assert killed.ended() == "CRASHED"
    assert station.ended(killed.next)[0] == "COMPLETED"
    assert killed.results() == undisturbed
    record_property("seconds", killed.seconds())


def test_a_stopped_worker_leaves_no_partial_report_and_the_next_run_completes_it(
    stopped, station, undisturbed, record_property
):
    assert stopped.ended() == "CRASHED"
    assert not stopped.results()[REPORT]
    assert station.ended(stopped.start())[0] == "COMPLETED"
    assert stopped.results() == undisturbed
    record_property("seconds", stopped.seconds())


def test_a_short_outage_of_the_database_loses_nothing(
    begin, postgres, undisturbed, record_property
):
    night = begin()
    with frozen(night.process()):
        postgres.stop()
    time.sleep(10)
    postgres.start()

    assert night.ended() == "COMPLETED"
    assert night.results() == undisturbed
    record_property("seconds", night.seconds())


def test_a_short_outage_of_the_server_loses_nothing(begin, station, undisturbed, record_property):
    night = begin()
    with frozen(night.process()):
        station.kill(station.server)
    time.sleep(30)
    station.start_server()

    assert night.ended() == "COMPLETED"
    assert night.results() == undisturbed
    record_property("seconds", night.seconds())


def test_a_permanent_outage_of_the_server_loses_no_result(
    begin, station, undisturbed, monkeypatch, record_property
):
    night = begin(PREFECT_CLIENT_MAX_RETRIES="2")
    with frozen(night.process()):
        station.kill(station.server)

    until(lambda: night.results() == undisturbed, seconds=240, what="the night is complete")
    record_property("seconds", night.seconds())
    monkeypatch.setenv("PREFECT_API_URL", station.url)
    refused = night.bench.score(*SET)
    assert (refused.code, "no Prefect server answers" in refused.err) == (1, True)
    assert night.bench.score(*SET, "--no-prefect").facts["written"] is False
