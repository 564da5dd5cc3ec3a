"""The table of outliers.parquet and outliers.csv."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

from storage.nights.night import Night
from storage.nights.scores import SCORES
from storage.visible_text import visible

SIDES = ("range", "latent", "residual")
COLUMNS = (
    "rank",
    "id",
    "file",
    "row",
    "file_row",
    "score",
    *SCORES,
    "p_value",
    "flagged",
    "cause",
    *(f"p_{side}" for side in SIDES),
)
SIGNS = "=+@-" + "\uff1d\uff0b\uff20\uff0d" + "\ufe66\ufe62\ufe6b\ufe63"  # plain, full-width, small
MINUS = "\u2212\u2010\u2011\u2012\u2013\u2014"  # read as a minus by some spreadsheets
# joiners, fillers, and variation selectors: unseen, but neither space nor control
BLANKS = "\u200c\u200d\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufe00-\ufe0f"
FORMULA = re.compile(rf"""(^|;)('*[\s"{BLANKS}]*[{re.escape(SIGNS + MINUS)}])""")
CODE = re.compile(r"\\(u[0-9a-f]{4}|U[0-9a-f]{8})")  # as `visible` writes a character
SENTENCES = ("cause", "sensors")  # columns that nobody reads back
PLAIN_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def outlier_table(night: Night, picked: pa.Table) -> pa.Table:
    """Add rank, score and cause to the rows of `storage.nights.scores.pick_scores`.

    row: the number over all files; file_row: the number within `file`.
    """
    columns = {
        "rank": pa.array(np.arange(1, picked.num_rows + 1)),
        "id": picked.column("id").cast(pa.string()),
        "file": picked.column("file").cast(pa.string()),
        "row": picked.column("row").cast(pa.int64()),
        "file_row": picked.column("file_row").cast(pa.int64()),
        "score": picked.column("score"),
        **{score: picked.column(score) for score in SCORES},
        "p_value": picked.column("p_value"),
        "flagged": picked.column("flagged").cast(pa.bool_()),
        **_evidence_columns(night, picked.column("row").to_pylist()),
    }
    return pa.table({name: columns[name] for name in COLUMNS})


def _evidence_columns(night: Night, rows: list[int]) -> dict[str, pa.Array]:
    """Return the cause, empty if unknown, and the p-value of each side, null if unknown."""
    known = [night.evidence.get(row) for row in rows]
    causes = [each.cause if each else "" for each in known]
    columns = {"cause": pa.array(causes, pa.string())}
    for side in SIDES:
        p_values = [each.sides.get(side) if each else None for each in known]
        columns[f"p_{side}"] = pa.array(p_values, pa.float64())
    return columns


def spreadsheet_table(table: pa.Table) -> pa.Table:
    """Return the table as outliers.csv holds it; see `spreadsheet_text`."""
    for index, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            as_cell = _sentence if field.name in SENTENCES else spreadsheet_text
            cells = [as_cell(each) for each in table.column(index).to_pylist()]
            table = table.set_column(index, field.name, pa.array(cells, pa.string()))
    return table


def spreadsheet_text(text: str) -> str:
    """Return a text as a CSV cell that no spreadsheet evaluates; two texts never give one cell.

    Characters that act unseen are shown by their code; backslashes are then doubled. An apostrophe
    goes before whatever a spreadsheet would evaluate as a formula, apostrophes before it included:
    at the start, and after a semicolon, which separates cells in many locales.
    """
    shown = visible(text)
    if shown != text or CODE.search(text):
        shown = visible(text.replace("\\", "\\\\"))
    return _neutralized(shown)


def _sentence(text: str) -> str:
    """Return a sentence for people, which shows unseen characters already, as a CSV cell."""
    return _neutralized(visible(text))


def _neutralized(shown: str) -> str:
    return shown if PLAIN_NUMBER.fullmatch(shown) else FORMULA.sub(r"\1'\2", shown)
