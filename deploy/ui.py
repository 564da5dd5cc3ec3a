"""A Prefect server, a worker, the reports, and a small job that runs every ten minutes, until Ctrl-C:  python deploy/ui.py [FOLDER]

Everything is written below FOLDER (default: nightglass-ui). NIGHTGLASS_UI_PORT chooses another port than 4200; reports are on the next one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import FrameType

import numpy as np

from flows.cli.demo import DATE, OFFLINE, demo_rows, write_demo

BIN = Path(sys.executable).parent
LOGS = {
    "PREFECT_LOGGING_LEVEL": "INFO",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "aemodel,storage,flows",
}  # in the pages of runs
PATIENT = {
    "PREFECT_CLIENT_MAX_RETRIES": "7",
    "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
}  # as env.example says
MORE = """
[schedule]
cron = "*/10 * * * *"            # every ten minutes, for the look of it

[alert]
reports_url = "{reports}"
"""


def main(folder: Path, port: int) -> None:
    """Start everything, say where it is, stay until told to stop."""
    url, reports = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}"
    for each in (url, reports):
        if answers(each):
            raise SystemExit(
                f"{each}: something answers there already; choose another port with NIGHTGLASS_UI_PORT"
            )
    os.environ.update(
        {**OFFLINE, **PATIENT, "PREFECT_HOME": str(folder / "prefect")}
        | {"PREFECT_API_URL": f"{url}/api", "PREFECT_SERVER_UI_API_URL": f"{url}/api"}
    )
    today = datetime.now(UTC).date()
    job = write_job(folder / "job", today, reports)
    with ExitStack() as stack:
        server = start(
            stack,
            folder / "server.log",
            "prefect",
            "server",
            "start",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        )
        wait_for(url, server, folder / "server.log")
        run("nightglass", "train", job)
        run("python", Path(__file__).with_name("bootstrap.py"), job)
        start(
            stack,
            folder / "worker.log",
            "prefect",
            "worker",
            "start",
            "--pool",
            "nightglass",
            **LOGS,
        )
        pages = folder / "job/workspace/reports"
        pages.mkdir(parents=True, exist_ok=True)
        start(
            stack,
            folder / "reports.log",
            "python",
            "-m",
            "http.server",
            str(port + 1),
            "--bind",
            "127.0.0.1",
            "--directory",
            str(pages),
        )
        ask_for(
            "backfill/digits",
            job=str(job),
            first=str(today - timedelta(days=3)),
            last=str(today - timedelta(days=2)),
        )
        ask_for("encode/digits", job=str(job))
        say(
            f"\nOpen {url}/runs – two earlier nights and a latent store are made now; by schedule, the night of yesterday follows"
        )
        say(
            f"at {next_tick():%H:%M} UTC. Reports: {reports}/digits/index.html. Ctrl-C ends everything that was started here."
        )
        signal.pause()


def write_job(folder: Path, today: date, reports: str) -> Path:
    """The demo's job with a schedule, and rows for the nights around today.

    Three days ago nothing foreign was among them.
    """
    job = write_demo(folder)
    job.write_text(job.read_text(encoding="utf-8") + MORE.format(reports=reports), encoding="utf-8")
    _, rows, foreign = demo_rows()
    for ahead in range(-3, 8):
        path = folder / "nights" / f"{today + timedelta(days=ahead)}.npy"
        if not path.exists() or path.stem == DATE:
            np.save(path, np.delete(rows, foreign, axis=0) if ahead == -3 else rows)
    return job


def answers(url: str) -> bool:
    """Whether anything answers there."""
    try:
        with urllib.request.urlopen(f"{url}/api/health", timeout=5):  # noqa: S310 (our own address)
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Until the server answers; it may also have given up."""
    while not answers(url):
        if server.poll() is not None:
            raise SystemExit(f"the server did not start; see {log}")
        time.sleep(0.5)


def start(stack: ExitStack, log: Path, *words: str, **environment: str) -> subprocess.Popen[bytes]:
    """A process that is stopped when the stack is left; its words go to a log."""
    with log.open("ab") as file:
        process = subprocess.Popen(
            [BIN / words[0], *words[1:]],
            stdout=file,
            stderr=file,
            env={**os.environ, **environment},
        )  # noqa: S603 (our own words)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return process


def ask_for(deployment: str, **form: str) -> None:
    """A run of a deployment, as a person asks for one in the pages."""
    run(
        "prefect",
        "deployment",
        "run",
        deployment,
        "--params",
        json.dumps({"form": form}),
        quiet=True,
    )


def run(program: str, *words: str | Path, quiet: bool = False) -> None:
    """A command that must go well."""
    subprocess.run(
        [BIN / program, *words], check=True, stdout=subprocess.DEVNULL if quiet else None
    )  # noqa: S603 (our own words)


def next_tick() -> datetime:
    """When the schedule comes round next, in UTC."""
    now = datetime.now(UTC)
    return now + timedelta(minutes=10 - now.minute % 10)


def say(words: str) -> None:
    """A line on the terminal."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def stop(_signal: int, _frame: FrameType | None) -> None:
    """End as by Ctrl-C."""
    raise SystemExit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    main(
        Path(sys.argv[1] if sys.argv[1:] else "nightglass-ui").resolve(),
        int(os.environ.get("NIGHTGLASS_UI_PORT", "4200")),
    )
