"""What every command starts with: the settings, its log, its workers."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from flows.jobs.job_file import read_job
from flows.jobs.settings import Job
from flows.jobs.workspace import open_workspace

WORKERS = min(4, os.cpu_count() or 1)


def begin(job: str, overrides: Sequence[str], command: str) -> Job:
    """Read the job file and start the command's log."""
    settings = read_job(Path(job), overrides)
    log_to(open_workspace(settings).root / "logs", command)
    return settings


OWN = "nightglass"  # the handlers put on by this file, to be told from those of others
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def log_to(folder: Path, command: str) -> None:
    """Send warnings to stderr, and everything from INFO on to `folder`/<command>.log as well."""
    folder.mkdir(parents=True, exist_ok=True)
    file = logging.FileHandler(folder / f"{command}.log", encoding="utf-8")
    file.setFormatter(_utc_formatter(LOG_FORMAT))
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setLevel(logging.WARNING)
    terminal.setFormatter(_utc_formatter("%(levelname)s: %(message)s"))
    for handler in (file, terminal):
        handler.set_name(OWN)
    for name in ("aemodel", "storage", "flows"):
        logger = logging.getLogger(name)
        for old in [handler for handler in logger.handlers if handler.get_name() == OWN]:
            logger.removeHandler(old)
            old.close()
        logger.setLevel(logging.INFO)
        logger.addHandler(file)
        logger.addHandler(terminal)
        logger.propagate = False


def _utc_formatter(text: str) -> logging.Formatter:
    formatter = logging.Formatter(text, datefmt="%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    return formatter
