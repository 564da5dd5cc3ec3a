"""The start of every command: settings, log, number of workers and of their threads."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from flows.engine.threads import share_cores, usable_cores
from flows.jobs.job_file import read_job
from flows.jobs.settings import Job
from flows.jobs.workspace import open_workspace
from storage.visible_text import visible_lines

WORKERS = min(4, usable_cores())
OWN = "nightglass"  # name of the handlers installed by this file
LOGGERS = ("aemodel", "storage", "flows")
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def begin(job: str, overrides: Sequence[str], command: str) -> Job:
    """Read the job file, start the command's log, and share the cores among its workers."""
    settings = read_job(Path(job), overrides)
    log_to(open_workspace(settings).root / "logs", command)
    share_cores(1 if command == "train" else WORKERS)
    return settings


def log_to(folder: Path, command: str) -> None:
    """Log warnings to stderr, and everything from INFO on to `folder`/<command>.log.

    Replaces the handlers of an earlier call.
    """
    handlers = (_file_handler(folder, command), _terminal_handler())
    for handler in handlers:
        handler.set_name(OWN)
    for name in LOGGERS:
        _replace_handlers(logging.getLogger(name), handlers)


class _TerminalHandler(logging.StreamHandler[TextIO]):
    """Writes to stderr as it is now: above the progress bars while they are shown."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr  # not setStream, which flushes the former one: it may be closed
        super().emit(record)


def _file_handler(folder: Path, command: str) -> logging.Handler:
    folder.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(folder / f"{command}.log", encoding="utf-8")
    handler.setFormatter(_utc_formatter(LOG_FORMAT))
    return handler


def _terminal_handler() -> logging.Handler:
    handler = _TerminalHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(_utc_formatter("%(levelname)s: %(message)s"))
    return handler


def _replace_handlers(logger: logging.Logger, handlers: Sequence[logging.Handler]) -> None:
    for old in [handler for handler in logger.handlers if handler.get_name() == OWN]:
        logger.removeHandler(old)
        old.close()
    for handler in handlers:
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


class _VisibleFormatter(logging.Formatter):
    """Formats records so that no name from the input acts on the terminal that shows them."""

    def format(self, record: logging.LogRecord) -> str:
        return visible_lines(super().format(record))


def _utc_formatter(text: str) -> logging.Formatter:
    formatter = _VisibleFormatter(text, datefmt="%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    return formatter
