"""A private Prefect server and worker, as processes that can be stopped and killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml
from bench import Bench
from nights import promoted_on

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parent.parent
PATIENCE = 5
COMPOSE = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
NEVER = "0 0 1 1 *"
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(done: Callable[[], Any], *, seconds: float, what: str) -> Any:
    """Wait until `done()` is true and return its value.

    seconds: the limit on an idle machine; a busy one gets PATIENCE times as long.
    """
    limit = time.monotonic() + PATIENCE * seconds
    while time.monotonic() < limit:
        if found := done():
            return found
        time.sleep(0.3)
    raise AssertionError(f"timed out after {seconds} s (idle machine): {what}")


def shipped() -> dict[str, str]:
    """Settings of deploy/env.example, as read by a shell."""
    line = ["env", "-i", "/bin/sh", "-c", "set -a; . deploy/env.example; /usr/bin/env -0"]
    found = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    assert not found.stderr, found.stderr
    variables = dict(line.split("=", 1) for line in found.stdout.split("\0") if line)
    return {name: value for name, value in variables.items() if name != "PWD"}


class Station:
    """A Prefect server on a free port, with its home in `folder` and the shipped settings.

    database: connection URL, SQLite if empty.
    """

    def __init__(self, folder: Path, database: str = "") -> None:
        self.folder, self.port, self.bench = folder, free_port(), Bench(folder / "job")
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.nights = [day.isoformat() for day in last_days(3)]
        self.server: subprocess.Popen[bytes] | None = None
        self.worker: subprocess.Popen[bytes] | None = None
        self.environment = {
            **os.environ,
            **shipped(),
            "PREFECT_HOME": str(folder / "home"),
            "PREFECT_API_URL": self.url,
            "PREFECT_SERVER_UI_API_URL": self.url,
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "NIGHTGLASS_RECHECK_CRON": NEVER,
            "NIGHTGLASS_TRAIN_CRON": NEVER,
            "NIGHTGLASS_GPUS": "1",
        }
        if database:
            self.environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database
        auth = tuple(self.environment["PREFECT_API_AUTH_STRING"].split(":"))
        self.client = httpx.Client(base_url=self.url, auth=auth, timeout=60, trust_env=False)
        (folder / "empty").mkdir(parents=True, exist_ok=True)

    def start(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        """Start a process in its own session, with the default SIGINT handler, as systemd does."""
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [BIN / words[0], *words[1:]],
                cwd=self.folder / "empty",
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def start_server(self) -> None:
        command = COMPOSE["services"]["server"]["command"]
        words = ["127.0.0.1" if word == "0.0.0.0" else word for word in command]
        self.server = self.start("server", *words, "--port", str(self.port))
        until(self.healthy, seconds=180, what="the server is healthy")

    def healthy(self) -> bool:
        try:
            return self.client.get("/health").status_code == 200
        except httpx.HTTPError:
            return False

    def start_worker(self) -> None:
        self.worker = self.start("worker", *COMPOSE["services"]["worker"]["command"])

    def kill(self, process: subprocess.Popen[bytes] | None) -> None:
        """Kill a process and its descendants with SIGKILL."""
        if process and process.poll() is None:
            for each in [*psutil.Process(process.pid).children(recursive=True), process]:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
            process.wait(60)

    def stop(self) -> None:
        self.kill(self.worker)
        self.kill(self.server)
        self.client.close()

    def bootstrap(self, *jobs: Path, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, ROOT / "deploy/bootstrap.py", *jobs],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """Send a request and return the JSON of the response.

        Retries while the server or its database is down, as Prefect's own clients do.
        """

        def response() -> httpx.Response | None:
            try:
                found = self.client.request(method, path, json=None if method == "GET" else body)
            except httpx.TransportError:
                return None
            return found if found.status_code < 500 else None

        found = until(response, seconds=60, what=path)
        assert found.status_code < 300, found.text
        return found.json() if found.content else None

    def post(self, path: str, **body: Any) -> Any:
        return self.ask("POST", path, **body)

    def deployment(self, name: str) -> dict[str, Any]:
        return self.ask("GET", f"deployments/name/{name}")

    def start_run(
        self, name: str, *, environment: dict[str, str] | None = None, **form: Any
    ) -> str:
        """Start a run of a deployment, as its form in the UI does; return its id."""
        deployment = self.deployment(name)
        parameters = {"form": {**deployment["parameters"]["form"], **form}}
        variables = {"env": environment or {}}
        return self.post(
            f"deployments/{deployment['id']}/create_flow_run",
            parameters=parameters,
            job_variables=variables,
        )["id"]

    def switch_off(self, name: str) -> None:
        """Pause a deployment, as the switch in the UI does."""
        self.ask("PATCH", f"deployments/{self.deployment(name)['id']}", paused=True)

    def run(self, identity: str) -> dict[str, Any]:
        return self.ask("GET", f"flow_runs/{identity}")

    def ended(self, identity: str, *, seconds: float = 240) -> tuple[str, str]:
        """Wait for the end of a run; return type and name of its final state."""

        def final() -> dict[str, Any] | None:
            run = self.run(identity)
            return run if run["state_type"] in ENDED else None

        found = until(final, seconds=seconds, what=f"run {identity} ends; see {self.folder}")
        return found["state_type"], found["state_name"]

    def runs_named(self, name: str) -> list[dict[str, Any]]:
        return self.post(
            "flow_runs/filter", flow_runs={"name": {"any_": [name]}}, sort="START_TIME_ASC"
        )


def last_days(count: int) -> list[date]:
    """The last `count` days before today, oldest first."""
    return [datetime.now(UTC).date() - timedelta(days=back) for back in range(count, 0, -1)]


@contextmanager
def deployed(trained: Path, station: Station) -> Iterator[Station]:
    """Start a server and a worker, and deploy a small job with three nights to backfill.

    The schedule starts a run every minute.
    """
    bench = station.bench
    shutil.copytree(trained, bench.folder, copy_function=shutil.copy2)
    promoted_on(bench, station.nights[0])
    today = datetime.now(UTC).date().isoformat()  # due if midnight passes during the tests
    for day in (*station.nights, today):
        bench.night(day, outliers=12)
    try:
        station.start_server()
        station.bootstrap(bench.job, NIGHTGLASS_RECHECK_CRON="* * * * *")
        station.start_worker()
        yield station
    finally:
        station.stop()
