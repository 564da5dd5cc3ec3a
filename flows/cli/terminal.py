"""Terminal output: the result on stdout, everything else on stderr, errors as exit codes."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from flows.cli.colors import colored
from flows.engine.interrupt import InterruptWatch
from flows.errors import DONE, EXPECTED, FAILED, INTERRUPTED, exit_code
from flows.results import Result
from storage.visible_text import visible_json, visible_lines

Report = Callable[[Result], None]
# how to continue after Ctrl-C
RESUME = "finished shards are kept; rerun to resume"
START_OVER = "rerun to start over"


def in_main_thread() -> bool:
    """Whether signals reach this thread; a command called from another one is not interrupted."""
    return threading.current_thread() is threading.main_thread()


@contextmanager
def reporting(
    *, as_json: bool, interrupted: str = START_OVER, in_time: bool = True
) -> Iterator[Report]:
    """Run a command's body and exit with its exit code.

    interrupted: how to continue after Ctrl-C. in_time: end within two seconds of it.

    Yields `report(result)`, which prints the result to stdout: as text, or with `as_json` as one
    JSON object that also holds the elapsed seconds. Errors go to stderr.
    """
    printer = _ResultPrinter(as_json=as_json)
    watch = InterruptWatch(interrupted)
    try:
        with watch.listening() if in_time and in_main_thread() else nullcontext():
            yield printer.print
        code = printer.exit_code
    except KeyboardInterrupt:
        watch.say(sys.stderr.write)
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 (the one place where every error becomes an exit code)
        code = _print_error(error)
    sys.stdout.flush()
    if code != DONE:
        raise SystemExit(code)


class _ResultPrinter:
    """Prints a command's result and remembers its exit code."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.exit_code = DONE
        self._began = time.monotonic()

    def print(self, result: Result) -> None:
        """Write the result to stdout."""
        self.exit_code = result.exit_code
        text = self._json(result) if self.as_json else self._text(result)
        sys.stdout.write(text + "\n")

    def _text(self, result: Result) -> str:
        return colored(visible_lines(result.to_text().rstrip()), sys.stdout)

    def _json(self, result: Result) -> str:
        seconds = round(time.monotonic() - self._began, 3)
        return visible_json({**result.to_json(), "seconds": seconds})


def _print_error(error: Exception) -> int:
    """Explain an error on stderr and return its exit code. Bugs come with a traceback."""
    if isinstance(error, EXPECTED):
        sys.stderr.write(colored(f"Error: {visible_lines(str(error))}\n", sys.stderr))
        return exit_code(error)
    trace = "".join(traceback.format_exception(error))
    sys.stderr.write(f"internal error; please report this bug:\n{visible_lines(trace)}")
    return FAILED
