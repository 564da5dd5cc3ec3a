"""The table of outliers.parquet and outliers.csv."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.nights.night import Night
from storage.nights.scores import SCORES

SIDES = ("range", "latent", "residual")
COLUMNS = (
    "rank",
    "id",
    "file",
    "row",
    "score",
    *SCORES,
    "p_value",
    "flagged",
    "cause",
    *(f"p_{side}" for side in SIDES),
)
FORMULA = r"^[=+\-@\t\r]"  # the start of a cell that a spreadsheet would evaluate
PLAIN_NUMBER = r"^[+-]?[0-9]+(\.[0-9]+)?$"


def outlier_table(night: Night, picked: pa.Table) -> pa.Table:
    """Add rank, score and cause to the rows of `storage.nights.scores.pick_scores`."""
    columns = {
        "rank": pa.array(np.arange(1, picked.num_rows + 1)),
        "id": picked.column("id").cast(pa.string()),
        "file": picked.column("file").cast(pa.string()),
        "row": picked.column("row").cast(pa.int64()),
        "score": picked.column(night.score_name),
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


def spreadsheet_safe(table: pa.Table) -> pa.Table:
    """Put an apostrophe before every text that a spreadsheet would evaluate as a formula."""
    for index, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            table = table.set_column(index, field.name, _escape_formulas(table.column(index)))
    return table


def _escape_formulas(text: pa.ChunkedArray) -> pa.ChunkedArray:
    formula = pc.match_substring_regex(text, FORMULA)
    number = pc.match_substring_regex(text, PLAIN_NUMBER)
    escaped = pc.binary_join_element_wise("'", text, "")
    return pc.if_else(pc.and_(formula, pc.invert(number)), escaped, text)
