"""A private PostgreSQL server, from Debian's package, that can be stopped and restarted."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from station import free_port

BIN = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
# PostgreSQL refuses to run as root
AS_POSTGRES = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []


class Postgres:
    """A server with its own data folder; `url` is the connection URL for Prefect.

    The folder is not in pytest's, which the user postgres may not enter.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="nightglass-postgres-"))
        self.port = free_port()
        self.url = f"postgresql+asyncpg://prefect@127.0.0.1:{self.port}/postgres"
        if AS_POSTGRES:
            shutil.chown(self.folder, "postgres", "postgres")
        self._run("initdb", "-A", "trust", "-U", "prefect", "--no-sync")

    def start(self) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self.folder} -c fsync=off"
        self._run("pg_ctl", "-l", self.folder / "log", "-w", "-t", "300", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-m", "immediate", "stop")

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def _run(self, program: str, *words: str | Path) -> None:
        subprocess.run(
            [*AS_POSTGRES, BIN[-1] / program, "-D", self.folder / "data", *words],
            check=True,
            stdout=subprocess.DEVNULL,
        )
