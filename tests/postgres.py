"""A PostgreSQL server of our own, from Debian's package, that can be stopped and started again."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from station import free_port

BIN = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
AS_POSTGRES = (
    ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
)  # it refuses to run as root


class Postgres:
    """Data in a folder of its own, which its user must be able to reach and pytest's are closed to;

    `url` is what Prefect connects to.
    """

    def __init__(self) -> None:
        self.folder, self.port = Path(tempfile.mkdtemp(prefix="nightglass-postgres-")), free_port()
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
