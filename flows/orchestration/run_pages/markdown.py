"""Markdown for the Prefect UI: artifacts, tables, links, and escaping of untrusted text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from storage.visible_text import visible, visible_name

JsonObject = Mapping[str, Any]  # nested JSON: a size report, or the summary of a night

_SPECIAL = re.compile(
    r"[\\`*\[\]<>|#~!&@]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # a_b is no emphasis
    r"|(?<=:)/(?=/)|(?<=www)\."  # addresses that become links
    r"|^[-+](?!\d)|(?<=^\d)[.)]|(?<=^\d\d)[.)]",  # items of a list
    re.IGNORECASE,
)
ALIGNMENT = {"l": ":--", "r": "--:"}


class MarkdownArtifact(NamedTuple):
    """The text of a Markdown artifact, and the description shown wherever it is listed."""

    description: str
    markdown: str


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[object]], align: str) -> str:
    """Format a table; `align` holds one letter per column, l or r."""
    rules = [ALIGNMENT[letter] for letter in align]
    return "\n".join(_table_row(cells) for cells in (head, rules, *rows))


def _table_row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def facts_table(rows: Iterable[Sequence[object]]) -> str:
    """Format a table of names and values."""
    return markdown_table(("name", "value"), rows, "lr")


def escape(text: object) -> str:
    r"""Put text on one line and escape Markdown, HTML, and links: `a|b` becomes `a\|b`.

    Prefect shows the cells of its tables and all descriptions as Markdown, and runs HTML in them.
    Characters that act unseen are shown by their code.
    """
    one_line = " ".join(str(text).split())
    return _SPECIAL.sub(r"\\\g<0>", visible(one_line))


def escape_name(text: object) -> str:
    """Escape an id, a name, or a cause for a cell of a table; a long one is cut."""
    return escape(visible_name(" ".join(str(text).split())))


def link_or_path(location: str) -> str:
    """Format a URL as a link, and a path as code, since browsers open no local files."""
    if location.startswith("http"):
        return f"[{location}]({location})"
    return escape(location) if "`" in location else f"`{location}`"


def format_number(value: float | None) -> str:
    """Format with four digits; a dash for NaN, which breaks Prefect's tables."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.4g}"
