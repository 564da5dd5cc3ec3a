"""Why rows are anomalous, as a list that is shown with a row and its cause on each line."""

from __future__ import annotations

from aemodel.explain.causes import Cause
from aemodel.notebook.tables import MOST_ROWS, html_table


class Explanation(list[Cause]):
    """The causes of rows, in the order of the rows."""

    def __repr__(self) -> str:
        """Show the first rows; what a terminal would not print is escaped."""
        causes = self[:MOST_ROWS]
        lines = [f"row {index}: {_printable(each.words)}" for index, each in enumerate(causes)]
        more = len(self) - len(lines)
        return "\n".join([*lines, f"and {more:,} more"] if more else lines) or "no rows"

    def _repr_html_(self) -> str:
        rows = [(index, cause.words) for index, cause in enumerate(self)]
        return html_table(rows, head=("row", "cause"))


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
