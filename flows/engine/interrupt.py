"""Ctrl-C: each thread stops after its current batch, and the process ends within two seconds.

What is still running by then, or at a second Ctrl-C, is cut off: results appear whole or not at
all, so a process may end at any moment.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flows.errors import INTERRUPTED

NOTICE = 0.2  # seconds until the watch has surely seen it
GRACE = 1.5  # seconds from Ctrl-C to the end of the process
SHOW_CURSOR = "\x1b[?25h"  # which a progress bar hides
_workers: set[int] = set()  # threads inside `interruptible`


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C, which Python raises in the main thread alone, stop this thread as well."""
    _workers.add(threading.get_ident())
    try:
        yield
    finally:
        _workers.discard(threading.get_ident())


def interrupt_workers() -> None:
    """Raise KeyboardInterrupt in every interruptible thread, once its current call into C ends."""
    for thread in tuple(_workers):
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread), ctypes.py_object(KeyboardInterrupt)
        )


class InterruptWatch:
    """Sees Ctrl-C even while the main thread is inside a long call into C.

    advice: how to continue, the end of the one line that is printed.
    """

    def __init__(self, advice: str) -> None:
        self._advice = advice
        self._said = threading.Lock()
        self._counting = threading.Event()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Watch for Ctrl-C; afterwards, only an interruption that has begun still counts down."""
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        thread = threading.Thread(target=self._watch, daemon=True, name="interrupt")
        thread.start()
        before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        # registered early and so called last; freeing torch and Prefect could take seconds more
        atexit.register(self._end)
        interrupted = False
        try:
            yield
        except KeyboardInterrupt:
            interrupted = True
            raise
        finally:
            if interrupted and self._counting.wait(NOTICE):
                signal.signal(signal.SIGINT, _leave_it_to_the_watch)
            else:
                signal.set_wakeup_fd(before)
                atexit.unregister(self._end)
                self._writer.close()
                thread.join()
                self._reader.close()

    def say(self, write: Callable[[str], object]) -> None:
        """Write the line, unless it was written before."""
        if self._said.acquire(blocking=False):
            write(f"Interrupted; {self._advice}\n")

    def _watch(self) -> None:
        if not self._interrupted_within(None):
            return
        self._counting.set()
        interrupt_workers()
        self._interrupted_within(GRACE)
        self._end()

    def _end(self) -> None:
        if sys.stderr.isatty():
            _write_raw(SHOW_CURSOR)
        self.say(_write_raw)
        os._exit(INTERRUPTED)

    def _interrupted_within(self, seconds: float | None) -> bool:
        """Wait for Ctrl-C; False if none came in time, or the watch has ended."""
        self._reader.settimeout(seconds)
        try:
            while number := self._reader.recv(1):
                if number[0] == signal.SIGINT:
                    return True
        except TimeoutError:
            pass
        return False


def _leave_it_to_the_watch(*_: object) -> None:
    """Do not raise in the main thread, which may be inside the interpreter's own shutdown."""


def _write_raw(text: str) -> None:
    """Write to stderr although another thread may hold its lock."""
    os.write(2, text.encode())
