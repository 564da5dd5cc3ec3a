"""What runs right now: bars on stderr if it is a terminal, and a line in the log now and then.

Whoever reads rows opens a `part` and advances it; parts may be nested, and run in several threads.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from storage.sources import Chunk

log = logging.getLogger(__name__)
LOG_EVERY = 30.0  # seconds
THOUSAND = 1_000


class Part:
    """One part of a run: done of total, in some unit. Without a total, only its time is shown."""

    def __init__(self, label: str, total: int | None, unit: str) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done, self.note = 0, ""
        self._skipped = 0  # done before, so that the rate is that of this run
        self.began = self._logged = time.monotonic()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Part], tuple[str, int | None, str]]:
        """Copy the part to another process, where nobody watches it."""
        return Part, (self.label, self.total, self.unit)

    def advance(self, done: int) -> None:
        """Count more as done."""
        with self._lock:
            self.done += done
        self._log_now_and_then()

    def skip(self, done: int) -> None:
        """Count what an earlier run has done."""
        with self._lock:
            self.done += done
            self._skipped += done

    @property
    def words(self) -> str:
        """Such as '1.2M of 5M rows, 310k/s, 0:12 left, loss 0.031'; short enough for 80 columns."""
        seconds = time.monotonic() - self.began
        rate = (self.done - self._skipped) / seconds if seconds > 0 else 0.0
        texts = [_clock(seconds)] if self.total is None else [self._counts()]
        if self.total is not None and rate:
            left = _clock(max(0, self.total - self.done) / rate)
            texts += [f"{short_count(rate)}/s", f"{left} left"]
        return ", ".join([*texts, self.note] if self.note else texts)

    def _counts(self) -> str:
        return f"{short_count(self.done)} of {short_count(self.total or 0)} {self.unit}"

    def _log_now_and_then(self) -> None:
        now = time.monotonic()
        if now - self._logged >= LOG_EVERY:
            self._logged = now
            log.info("%s: %s", self.label, self.words)


class Display(Protocol):
    """Where running parts are shown."""

    def add(self, part: Part) -> None:
        """Show a part."""
        ...

    def remove(self, part: Part) -> None:
        """Show a part no longer."""
        ...


class _Shown:
    """What shows the parts of this process, if anything does: there is one terminal."""

    display: Display | None = None


_counted_for: ContextVar[Part | None] = ContextVar("counted_for", default=None)


@contextmanager
def shown_by(display: Display) -> Iterator[None]:
    """Show parts on a display meanwhile."""
    _Shown.display = display
    try:
        yield
    finally:
        _Shown.display = None


@contextmanager
def part(label: str, total: int | None = None, *, unit: str = "rows") -> Iterator[Part]:
    """Run one part, shown while it lasts."""
    begun, display = Part(label, total, unit), _Shown.display
    if display is None:
        yield begun
        return
    display.add(begun)
    try:
        yield begun
    finally:
        display.remove(begun)


@contextmanager
def counting_for(running: Part | None) -> Iterator[None]:
    """Let `rows_done` count for a part, in this thread."""
    token = _counted_for.set(running)
    try:
        yield
    finally:
        _counted_for.reset(token)


def rows_done(rows: int, *, before: bool = False) -> None:
    """Count rows for the part of this thread, if there is one. before: by an earlier run."""
    running = _counted_for.get()
    if running and before:
        running.skip(rows)
    elif running:
        running.advance(rows)


def counted(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Pass chunks on, and count the rows of each once it was used."""
    for chunk in chunks:
        yield chunk
        rows_done(len(chunk.rows))


def short_count(value: float) -> str:
    """Return a count with three digits: 950, 12.3k, 4.57M."""
    for unit in ("", "k", "M"):
        if value < THOUSAND - 0.5:
            return f"{value:.3g}{unit}"
        value /= THOUSAND
    return f"{value:.3g}G"


def _clock(seconds: float) -> str:
    """Return a duration as 0:12, or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
