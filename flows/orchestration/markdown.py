"""Markdown as Prefect's pages show it.

Tables, addresses, and values from outside that must not turn into markup.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], align: str) -> str:
    """A table; `align` has a letter for each column, l or r."""
    rules = {"l": ":--", "r": "--:"}
    lines = [head, [rules[letter] for letter in align], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def facts_table(rows: Iterable[Sequence[Any]]) -> str:
    """Names and values."""
    return table(("what", "value"), rows, "lr")


def plain(text: object) -> str:
    r"""Text on one line that is shown as it is, whatever marks it holds: `a|b` becomes `a\|b`, which a table shows as it was."""
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", " ".join(str(text).split()))


def place(path_or_address: str) -> str:
    """An address as a link; a path as it is, since browsers follow none from a web page."""
    return (
        f"[{path_or_address}]({path_or_address})"
        if path_or_address.startswith("http")
        else f"`{path_or_address}`"
    )


def short(value: float | None) -> str:
    """Four digits; Prefect's tables show nothing at all where one value is NaN."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.4g}"
