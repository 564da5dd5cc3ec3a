"""Try the Prefect UI: python deploy/ui.py [FOLDER]

Starts a Prefect server, a worker, a web server for the reports, and a small job that runs every
ten minutes, until Ctrl-C. Everything is written below FOLDER (default: nightglass-ui). The UI is
on port NIGHTGLASS_UI_PORT (default: 4200), the reports are on the next port.
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
SERVER = "prefect server start --host 127.0.0.1 --port"
WORKER = "prefect worker start --pool nightglass"
WEB_SERVER = "python -m http.server --bind 127.0.0.1 --directory"
LOGS = {  # shown on the pages of runs
    "PREFECT_LOGGING_LEVEL": "INFO",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "aemodel,storage,flows",
}
RETRIES = {  # as in env.example
    "PREFECT_CLIENT_MAX_RETRIES": "7",
    "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
}
MORE = """
[schedule]
cron = "*/10 * * * *"            # every ten minutes, to have something to watch

[alert]
reports_url = "{reports}"
"""
OPEN = """
Open {url}/runs. Two earlier nights and a latent store are being made now; yesterday's night
follows on schedule at {next_run:%H:%M} UTC. Reports: {reports}/digits/index.html
Press Ctrl-C to stop everything."""


def main(folder: Path, port: int) -> None:
    """Start everything, print the addresses, and wait for a signal."""
    url, reports = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}"
    require_free(url)
    require_free(reports)
    set_environment(folder, url)
    today = datetime.now(UTC).date()
    job = write_job(folder / "job", today, reports)
    with ExitStack() as stack:
        start_server(stack, folder, url, port)
        run("nightglass", "train", job)
        run("python", Path(__file__).with_name("bootstrap.py"), job)
        start(stack, folder / "worker.log", *WORKER.split(), **LOGS)
        serve_reports(stack, folder, port + 1)
        start_runs(job, today)
        print_line(OPEN.format(url=url, reports=reports, next_run=next_run()))
        signal.pause()


def require_free(url: str) -> None:
    """Exit if the port is in use."""
    if responds(url):
        raise SystemExit(f"{url}: port in use; choose another with NIGHTGLASS_UI_PORT")


def set_environment(folder: Path, url: str) -> None:
    """Point this process and its children at the server."""
    os.environ.update({**OFFLINE, **RETRIES})
    os.environ["PREFECT_HOME"] = str(folder / "prefect")
    os.environ["PREFECT_API_URL"] = f"{url}/api"
    os.environ["PREFECT_SERVER_UI_API_URL"] = f"{url}/api"


def write_job(folder: Path, today: date, reports: str) -> Path:
    """Write the demo's job with a schedule, and rows for the nights around today.

    The night three days ago has no foreign rows.
    """
    job = write_demo(folder)
    text = job.read_text(encoding="utf-8") + MORE.format(reports=reports)
    job.write_text(text, encoding="utf-8")
    _, rows, foreign = demo_rows()
    for ahead in range(-3, 8):
        path = folder / "nights" / f"{today + timedelta(days=ahead)}.npy"
        if not path.exists() or path.stem == DATE:
            np.save(path, np.delete(rows, foreign, axis=0) if ahead == -3 else rows)
    return job


def start_server(stack: ExitStack, folder: Path, url: str, port: int) -> None:
    """Start the Prefect server and wait until it responds."""
    log = folder / "server.log"
    server = start(stack, log, *SERVER.split(), str(port))
    while not responds(url):
        if server.poll() is not None:
            raise SystemExit(f"the server did not start; see {log}")
        time.sleep(0.5)


def responds(url: str) -> bool:
    """Return whether any server responds at `url`."""
    try:
        with urllib.request.urlopen(f"{url}/api/health", timeout=5):  # noqa: S310 (our own address)
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def serve_reports(stack: ExitStack, folder: Path, port: int) -> None:
    """Start a web server for the reports."""
    pages = folder / "job/workspace/reports"
    pages.mkdir(parents=True, exist_ok=True)
    start(stack, folder / "reports.log", *WEB_SERVER.split(), str(pages), str(port))


def start_runs(job: Path, today: date) -> None:
    """Start a backfill of two nights, and the encoding of the clean rows."""
    first, last = today - timedelta(days=3), today - timedelta(days=2)
    start_run("backfill/digits", job=str(job), first=str(first), last=str(last))
    start_run("encode/digits", job=str(job))


def start_run(deployment: str, **form: str) -> None:
    """Start a run of a deployment, as its form in the UI does."""
    parameters = json.dumps({"form": form})
    run("prefect", "deployment", "run", deployment, "--params", parameters, quiet=True)


def start(stack: ExitStack, log: Path, *words: str, **environment: str) -> subprocess.Popen[bytes]:
    """Start a process that logs to a file and is terminated when the stack closes."""
    with log.open("ab") as file:
        process = subprocess.Popen(  # noqa: S603 (no outside input)
            [BIN / words[0], *words[1:]],
            stdout=file,
            stderr=file,
            env={**os.environ, **environment},
        )
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return process


def run(program: str, *words: str | Path, quiet: bool = False) -> None:
    """Run a command to its end; raise if it fails."""
    stdout = subprocess.DEVNULL if quiet else None
    subprocess.run([BIN / program, *words], check=True, stdout=stdout)  # noqa: S603 (no outside input)


def next_run() -> datetime:
    """Return the next scheduled start, in UTC."""
    now = datetime.now(UTC)
    return now + timedelta(minutes=10 - now.minute % 10)


def print_line(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def stop(_signal: int, _frame: FrameType | None) -> None:
    """Exit, which closes the stack of processes."""
    raise SystemExit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    main(
        Path(sys.argv[1] if sys.argv[1:] else "nightglass-ui").resolve(),
        int(os.environ.get("NIGHTGLASS_UI_PORT", "4200")),
    )
