"""What a person at the terminal sees: progress and words on stderr, the result on stdout, errors as one plain paragraph."""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flows.errors import EXPECTED, FAILED, exit_code

Report = Callable[[Mapping[str, Any], str], None]
OWN = "nightglass"  # the handlers put on by this file, to be told from those of others
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@contextmanager
def reporting(*, as_json: bool) -> Iterator[Report]:
    """Run a command's body; turn its errors into an exit code.

    The body gets `report(facts, words)`: with `--json` the facts and the seconds taken go to stdout as one JSON object, else the
    words do. Facts hold at least `path`; `code` among them, if there is one, becomes the exit code.
    """
    began = time.monotonic()
    code = 0

    def report(facts: Mapping[str, Any], words: str) -> None:
        nonlocal code
        facts = dict(facts)
        code = facts.pop("code", 0)
        seconds = round(time.monotonic() - began, 3)
        sys.stdout.write(json.dumps({**facts, "seconds": seconds}, ensure_ascii=False) + "\n" if as_json else words.rstrip() + "\n")

    try:
        yield report
    except EXPECTED as error:
        sys.stderr.write(f"Error: {error}\n")
        code = exit_code(error)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; what is finished is kept, the same command goes on from there\n")
        code = 130
    except Exception:  # noqa: BLE001 (the one place where every error becomes an exit code)
        sys.stderr.write(f"Unexpected error; this is a defect of nightglass:\n{traceback.format_exc()}")
        code = FAILED
    sys.stdout.flush()
    if code:
        raise SystemExit(code)


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


@contextmanager
def progress_bar(words: str) -> Iterator[Callable[[int, int], None]]:
    """Yield `progress(done, total)`: a bar on stderr where that is a terminal, else nothing."""
    from rich.console import Console  # late: --help stays quick
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(words, total=None, note="")

        def progress(done: int, total: int, note: str = "") -> None:
            bar.update(task, completed=done, total=total, note=note)

        yield progress
