"""A Prefect server, a worker, and a small job that runs every ten minutes, until Ctrl-C:  python deploy/ui.py [FOLDER]

Everything is written below FOLDER (default: nightglass-ui). NIGHTGLASS_UI_PORT chooses another port than 4200.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType

from flows.demo import DATE, OFFLINE, write_demo

BIN = Path(sys.executable).parent
SCHEDULE = '\n[schedule]\ncron = "*/10 * * * *"            # a night every ten minutes, for the look of it\n'


def main(folder: Path, port: int) -> None:
    """Start everything, say where it is, stay until told to stop."""
    url = f"http://127.0.0.1:{port}"
    if answers(url):
        raise SystemExit(f"{url}: something answers there already; choose another port with NIGHTGLASS_UI_PORT")
    os.environ.update(
        {**OFFLINE, "PREFECT_HOME": str(folder / "prefect"), "PREFECT_API_URL": f"{url}/api", "PREFECT_SERVER_UI_API_URL": f"{url}/api"}
    )
    job = write_job(folder / "job")
    with ExitStack() as stack:
        server = start(stack, folder, "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
        while not answers(url):
            if server.poll() is not None:
                raise SystemExit(f"the server did not start; see {folder / 'server.log'}")
            time.sleep(0.5)
        run(BIN / "nightglass", "train", job)
        run(BIN / "python", Path(__file__).with_name("bootstrap.py"), job)
        start(stack, folder, "prefect", "worker", "start", "--pool", "nightglass")
        run(BIN / "prefect", "deployment", "run", "nightly/digits")
        sys.stdout.write(f"\nOpen {url}/runs – a night runs now, and every ten minutes. Ctrl-C ends server and worker.\n")
        sys.stdout.flush()
        signal.pause()


def write_job(folder: Path) -> Path:
    """The demo's job with a schedule, and rows for the nights of the coming week."""
    job = write_demo(folder)
    if SCHEDULE not in job.read_text(encoding="utf-8"):
        job.write_text(job.read_text(encoding="utf-8") + SCHEDULE, encoding="utf-8")
    for back in range(-7, 2):
        shutil.copy2(folder / "nights" / f"{DATE}.npy", folder / "nights" / f"{datetime.now(UTC).date() - timedelta(days=back)}.npy")
    return job


def answers(url: str) -> bool:
    """Whether a server answers there."""
    try:
        with urllib.request.urlopen(f"{url}/api/health", timeout=5):  # noqa: S310 (our own address)
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def start(stack: ExitStack, folder: Path, *words: str) -> subprocess.Popen[bytes]:
    """A process that is stopped when the stack is left; its words go to a log."""
    with (folder / f"{words[1]}.log").open("ab") as log:
        process = subprocess.Popen([BIN / words[0], *words[1:]], stdout=log, stderr=log)  # noqa: S603 (our own words)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return process


def run(*words: str | Path) -> None:
    """A command that must go well."""
    subprocess.run(words, check=True)  # noqa: S603 (our own words)


def stop(_signal: int, _frame: FrameType | None) -> None:
    """End as by Ctrl-C."""
    raise SystemExit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    main(Path(sys.argv[1] if sys.argv[1:] else "nightglass-ui").resolve(), int(os.environ.get("NIGHTGLASS_UI_PORT", "4200")))
