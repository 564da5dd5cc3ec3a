"""A Prefect server and a worker of their own, as processes that can be stopped and killed like real ones."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from flows.demo import OFFLINE

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parent.parent
PATIENCE = 5
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(done: Callable[[], Any], *, seconds: float, what: str) -> Any:
    """What `done` returns once it is true; `seconds` are those of an idle machine, and none is failed for being busy."""
    limit = time.monotonic() + PATIENCE * seconds
    while time.monotonic() < limit:
        if found := done():
            return found
        time.sleep(0.3)
    raise AssertionError(f"not within {seconds} s: {what}")


class Station:
    """A server on a free port with its home in `folder`; `database` is a connection URL, SQLite where it is empty."""

    def __init__(self, folder: Path, database: str = "", **environment: str) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.server: subprocess.Popen[bytes] | None = None
        self.worker: subprocess.Popen[bytes] | None = None
        self.environment = {
            **os.environ, **OFFLINE, "PREFECT_HOME": str(folder / "home"), "PREFECT_API_URL": self.url, "PREFECT_SERVER_UI_API_URL": self.url,
            "PREFECT_LOGGING_LEVEL": "INFO", "PREFECT_WORKER_QUERY_SECONDS": "2", "NIGHTGLASS_LOOK_AGAIN": "0 0 1 1 *",
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5", "NO_PROXY": "127.0.0.1,localhost", "NIGHTGLASS_GPUS": "1", **environment,
        }  # fmt: skip
        if database:
            self.environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database
        (folder / "empty").mkdir(parents=True, exist_ok=True)

    def _start(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        """A process of its own session; SIGINT is at its default, as it is under systemd."""
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [BIN / words[0], *words[1:]], cwd=self.folder / "empty", env=self.environment, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )  # fmt: skip

    def start_server(self) -> None:
        self.server = self._start("server", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port))
        until(self.healthy, seconds=180, what="the server answers")

    def healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health").status_code == 200
        except httpx.HTTPError:
            return False

    def start_worker(self) -> None:
        self.worker = self._start("worker", "prefect", "worker", "start", "--pool", "nightglass")

    def kill(self, process: subprocess.Popen[bytes] | None, number: int = signal.SIGKILL) -> None:
        """Send a signal to a process and all that it started."""
        if process and process.poll() is None:
            os.killpg(process.pid, number)
            process.wait(60)

    def stop(self) -> None:
        self.kill(self.worker)
        self.kill(self.server)

    def bootstrap(self, *jobs: Path) -> str:
        done = subprocess.run(
            [sys.executable, ROOT / "deploy/bootstrap.py", *jobs], env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def post(self, path: str, **body: Any) -> Any:
        def answered() -> httpx.Response | None:  # SQLite may be locked for a moment; Prefect's own clients try again too
            found = httpx.post(f"{self.url}/{path}", json=body, timeout=60)
            return found if found.status_code != 503 else None

        found = until(answered, seconds=60, what=path)
        assert found.status_code < 300, found.text
        return found.json() if found.content else None

    def deployment(self, name: str) -> dict[str, Any]:
        return httpx.get(f"{self.url}/deployments/name/{name}", timeout=60).raise_for_status().json()

    def start_run(self, name: str, *, scheduled: str = "", **form: Any) -> str:
        """Ask for a run of a deployment, as the scheduler (for a time) or a person does; return its id."""
        deployment = self.deployment(name)
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": scheduled}} if scheduled else None
        parameters = {"form": {**deployment["parameters"]["form"], **form}}
        return self.post(f"deployments/{deployment['id']}/create_flow_run", parameters=parameters, **({"state": state} if state else {}))[
            "id"
        ]

    def run(self, identity: str) -> dict[str, Any]:
        return httpx.get(f"{self.url}/flow_runs/{identity}", timeout=60).raise_for_status().json()

    def ended(self, identity: str, *, seconds: float = 240) -> tuple[str, str]:
        """Type and name of the final state."""
        found = until(
            lambda: (run := self.run(identity))["state_type"] in ENDED and run,
            seconds=seconds,
            what=f"the end of {identity}; see {self.folder}",
        )
        return found["state_type"], found["state_name"]

    def runs_named(self, name: str) -> list[dict[str, Any]]:
        return self.post("flow_runs/filter", flow_runs={"name": {"any_": [name]}}, sort="START_TIME_ASC")
