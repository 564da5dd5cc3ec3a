"""Why rows are anomalous, as a list that a notebook shows as a table."""

from __future__ import annotations

from aemodel.explain.causes import Cause
from aemodel.notebook.tables import html_table


class Explanation(list[Cause]):
    """The causes of rows, in the order of the rows."""

    def _repr_html_(self) -> str:
        rows = [(index, cause.words) for index, cause in enumerate(self)]
        return html_table(rows, head=("row", "cause"))
