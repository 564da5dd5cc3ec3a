"""A night in a notebook: its verdict and figures as a table."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from storage.visible_text import visible_lines

LEFT = 'style="text-align:left"'


def night_card(title: str, facts: Mapping[str, str]) -> str:
    """Return a titled table in HTML, in which texts from the data are only text."""
    cells = [(f"<th {LEFT}>{name}</th>", _text(value)) for name, value in facts.items()]
    rows = "".join(f"<tr>{name}<td {LEFT}>{value}</td></tr>" for name, value in cells)
    return f"<p><b>{_text(title)}</b></p><table><tbody>{rows}</tbody></table>"


def _text(value: str) -> str:
    return escape(visible_lines(value))
