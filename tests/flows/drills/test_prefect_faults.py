"""Fault drills with a real server and a real worker: what an operator sees, and that the night is whole in the end, in the same bytes.

All nights hold the same rows, so that one that nothing happened to tells what each of them must come to. --junitxml keeps the seconds
until they were whole.
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
SHARDS = ["data.shard_bytes=1 MB"]
REPORT = f"reports/small/{DAY}"
RESULTS = (f"scores/small/date={DAY}", REPORT)


@dataclass
class Night:
    """A job in a folder of its own, and the run that is at work on its night."""

    bench: Bench
    station: Station
    deployment: str
    run: str = ""
    next: str = ""
    hit: float = 0.0

    def start(self, *settings: str, **environment: str) -> str:
        """Ask for a run of the night."""
        form = {"job": str(self.bench.job), "date": DAY, "settings": [*SHARDS, *settings]}
        return self.station.start_run(self.deployment, environment=environment, **form)

    def ended(self) -> str:
        """Type of the run's final state."""
        return self.station.ended(self.run)[0]

    def process(self) -> psutil.Process:
        """The process that the run is at work in: it holds the night's lock."""
        return psutil.Process(
            int((self.bench.workspace / f".work/small-score-{DAY}.lock").read_text())
        )

    def seconds(self) -> float:
        """From what happened to the report."""
        return round(
            (self.bench.workspace / REPORT / "rev=1/manifest.json").stat().st_mtime - self.hit, 1
        )

    def results(self) -> dict[str, dict[str, bytes]]:
        """All files of scores and report."""
        return {part: tree(self.bench.workspace / part) for part in RESULTS}


@pytest.fixture(scope="module")
def unbroken(trained_folder, tmp_path_factory):
    """The results of the night when nothing happens."""
    bench = copy_of(trained_folder, tmp_path_factory.mktemp("unbroken") / "job")
    assert bench.score("--set", *SHARDS, "--no-prefect").code == 0
    return {part: tree(bench.workspace / part) for part in RESULTS}


def copy_of(trained: Path, folder: Path) -> Bench:
    """The trained job with a night of 64 shards."""
    shutil.copytree(trained, folder, copy_function=shutil.copy2)
    bench = Bench(folder)
    bench.night(n=1_000_000, outliers=20)
    return bench


@pytest.fixture(scope="module")
def station(on_postgres):
    """A deployment beside the plain one that lets runs of several nights go side by side."""
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
    """Starts a night and waits until some of its shards are done."""

    def start(
        *settings: str, deployment: str = "nightly/drills", runs: int = 1, **environment: str
    ) -> Night:
        night = Night(
            copy_of(trained_folder, tmp_path_factory.mktemp("night") / "job"), station, deployment
        )
        night.run, night.next = [night.start(*settings, **environment) for _ in range(runs)] + [
            ""
        ] * (2 - runs)
        work = night.bench.workspace / f".work/small-score-{DAY}"
        until(lambda: list(work.glob("parts-*/note-*.json")), seconds=120, what="a first shard")
        night.hit = time.time()
        return night

    return start


@contextmanager
def frozen(process: psutil.Process):
    """Holds a process in the middle of its work."""
    process.suspend()
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            process.resume()


@pytest.fixture(scope="module")
def killed(station, begin):
    """A night whose worker is killed, with the next run asked for at once."""
    night = begin(deployment="nightly/small")
    station.kill(station.worker)
    assert not night.results()[REPORT]
    station.start_worker()
    night.next = night.start()
    return night


@pytest.fixture(scope="module")
def stopped(killed, station, begin):
    """A night whose worker is told to stop in the middle, without a drain before."""
    night = begin()
    process = night.process()
    with frozen(process):
        station.worker.send_signal(signal.SIGTERM)
        until(lambda: told_to_stop(process), seconds=60, what="the worker passes it on")
    station.worker.wait(300)
    station.start_worker()
    return night


@pytest.fixture(scope="module")
def twice(stopped, begin):
    """A night that two runs are begun of, one of which is at work while the other waits."""
    night = begin(runs=2)
    with frozen(night.process()):
        until(lambda: "is at work on it" in said(night), seconds=120, what="the other waits")
    return night


@pytest.fixture(scope="module")
def cancelled(twice, station, begin):
    """A night whose run is cancelled in the middle."""
    night = begin()
    process = night.process()
    with frozen(process):
        station.post(f"flow_runs/{night.run}/set_state", state={"type": "CANCELLING"})
        until(lambda: told_to_stop(process), seconds=60, what="the worker passes it on")
    return night


@pytest.fixture(scope="module")
def lonely(cancelled, begin):
    """A night on Dask, one of whose workers is killed."""
    night = begin("score.runner=dask")
    workers = [
        each
        for each in night.process().children(recursive=True)
        if "multiprocessing.spawn" in " ".join(each.cmdline())
    ]
    workers[-1].kill()
    return night


@pytest.fixture(scope="module", autouse=True)
def side_by_side(killed, stopped, twice, cancelled, lonely):
    """All that happens while server and database are there is begun before the first of it is looked at, so that the waits overlap."""


def said(night: Night) -> str:
    """All that the runs below the two of a night have logged."""
    below = {"parent_flow_run_id": {"any_": [night.run, night.next]}}
    children = [each["id"] for each in night.station.post("flow_runs/filter", flow_runs=below)]
    return " ".join(
        each["message"]
        for each in night.station.post("logs/filter", logs={"flow_run_id": {"any_": children}})
    )


def told_to_stop(process: psutil.Process) -> bool:
    """Whether a signal to end waits for a frozen process, or it was killed."""
    if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
        return True
    pending = next(
        line
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
        if line.startswith("ShdPnd")
    )
    return any(
        int(pending.split()[1], 16) >> (number - 1) & 1
        for number in (signal.SIGTERM, signal.SIGINT)
    )


def test_two_runs_of_one_night_write_it_once(twice, station, unbroken, record_property):
    runs = (twice.run, twice.next)
    assert [station.ended(each)[0] for each in runs] == ["COMPLETED"] * 2
    assert ["nothing new" in station.run(each)["state"]["message"] for each in runs].count(
        True
    ) == 1
    assert twice.results() == unbroken
    record_property("seconds", twice.seconds())


def test_a_run_cancelled_in_the_ui_is_finished_by_the_next(
    cancelled, station, unbroken, record_property
):
    assert cancelled.ended() == "CANCELLED"
    assert not cancelled.results()[REPORT]
    assert station.ended(cancelled.start())[0] == "COMPLETED"
    assert cancelled.results() == unbroken
    record_property("seconds", cancelled.seconds())


def test_dask_gives_the_same_bytes_even_when_one_of_its_workers_is_killed(
    lonely, unbroken, record_property
):
    assert lonely.ended() == "COMPLETED"
    assert lonely.results() == unbroken
    record_property("seconds", lonely.seconds())


def test_a_worker_killed_in_a_shard_shows_as_crashed_and_the_next_run_takes_its_place(
    killed, station, unbroken, record_property
):
    assert killed.ended() == "CRASHED"
    assert station.ended(killed.next)[0] == "COMPLETED"
    assert killed.results() == unbroken
    record_property("seconds", killed.seconds())


def test_a_worker_told_to_stop_leaves_nothing_half_and_the_next_run_finishes(
    stopped, station, unbroken, record_property
):
    assert stopped.ended() == "CRASHED"
    assert not stopped.results()[REPORT]
    assert station.ended(stopped.start())[0] == "COMPLETED"
    assert stopped.results() == unbroken
    record_property("seconds", stopped.seconds())


def test_a_database_that_is_gone_for_a_while_costs_nothing(
    begin, postgres, unbroken, record_property
):
    night = begin()
    with frozen(night.process()):
        postgres.stop()
    time.sleep(10)
    postgres.start()

    assert night.ended() == "COMPLETED"
    assert night.results() == unbroken
    record_property("seconds", night.seconds())


def test_a_server_that_is_gone_for_half_a_minute_costs_nothing(
    begin, station, unbroken, record_property
):
    night = begin()
    with frozen(night.process()):
        station.kill(station.server)
    time.sleep(30)
    station.start_server()

    assert night.ended() == "COMPLETED"
    assert night.results() == unbroken
    record_property("seconds", night.seconds())


def test_a_server_that_is_gone_for_good_loses_no_result(
    begin, station, unbroken, monkeypatch, record_property
):
    night = begin(PREFECT_CLIENT_MAX_RETRIES="2")
    with frozen(night.process()):
        station.kill(station.server)

    until(lambda: night.results() == unbroken, seconds=240, what="the night is whole")
    record_property("seconds", night.seconds())
    monkeypatch.setenv("PREFECT_API_URL", station.url)
    told = night.bench.score("--set", *SHARDS)
    assert (told.code, "no Prefect server answers there" in told.err) == (1, True)
    assert night.bench.score("--set", *SHARDS, "--no-prefect").facts["written"] is False
