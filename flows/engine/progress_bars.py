"""The bars of the parts that run, at the bottom of the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from flows.engine.progress import Part, shown_by

QUIET = 1.0  # seconds; what is over by then is not shown
BAR = 16  # characters
A_SECOND = 5  # frames


@contextmanager
def progress_shown() -> Iterator[None]:
    """Show the parts of a run as bars while it lasts, if stderr is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    with ProgressBars() as bars, shown_by(bars):
        yield


class ProgressBars:
    """Draws the parts that have run for a moment; what is printed meanwhile goes above them."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._live = Live(
            get_renderable=self._drawn,
            console=Console(stderr=True),
            refresh_per_second=A_SECOND,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def add(self, part: Part) -> None:
        """Show a part."""
        self._parts.append(part)

    def remove(self, part: Part) -> None:
        """Show a part no longer."""
        self._parts.remove(part)

    def draw(self) -> None:
        """Draw the bars as they are now, rather than with the next frame."""
        self._live.refresh()

    def _drawn(self) -> Group:
        now = time.monotonic()
        shown = [part for part in tuple(self._parts) if now - part.began >= QUIET]
        return Group(*map(_line, shown))


def _line(part: Part) -> Table:
    line = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=part.total, completed=part.done, width=BAR, pulse=part.total is None)
    line.add_row(Text(part.label), bar, Text(part.words))
    return line
