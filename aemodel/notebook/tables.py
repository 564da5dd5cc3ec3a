"""Tables in HTML, in which names and values from the data are only text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

MOST_ROWS = 50  # of one table; a notebook keeps what it shows


def html_table(
    rows: Sequence[Sequence[object]], *, head: Sequence[str] = (), title: str = ""
) -> str:
    """Return a table of the first rows, with a header row and a title where they are given."""
    more = len(rows) - MOST_ROWS
    parts = [
        f"<p><b>{escape(title)}</b></p>" if title else "",
        "<table>",
        f"<thead>{_row('th', head)}</thead>" if head else "",
        f"<tbody>{''.join(_row('td', row) for row in rows[:MOST_ROWS])}</tbody></table>",
        f"<p>and {more:,} more</p>" if more > 0 else "",
    ]
    return "".join(parts)


def _row(tag: str, cells: Iterable[object]) -> str:
    # bdi: characters that turn the direction of text end with the cell
    shown = (f'<{tag} style="text-align:left"><bdi>{escape(str(each))}</bdi>' for each in cells)
    return "<tr>" + "".join(f"{each}</{tag}>" for each in shown) + "</tr>"
