"""The rows that the newest report of a night lists, found by id or by row number."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyarrow.parquet as pq

from flows.errors import UsageError
from storage.files.manifest import check_format_version
from storage.nights.outliers import spreadsheet_text
from storage.nights.report import SIGNATURES, SIGNATURES_VERSION
from storage.nights.revisions import NightPlace
from storage.visible_text import visible_name

MOST_NAMED = 5  # row numbers in one message


@dataclass(frozen=True)
class ReportedRow:
    """One row of a report; `row` is its number over all files.

    kind: what the rows of its kind share. content: hash of its values. '' if unknown.
    """

    id: str
    row: int
    flagged: bool
    kind: str = ""
    content: str = ""


@dataclass(frozen=True)
class ReportedRows:
    """The rows of one report. by_id: by id. by_cell: by id as outliers.csv writes it."""

    date: str
    by_row: Mapping[int, ReportedRow]
    by_id: Mapping[str, Sequence[ReportedRow]]
    by_cell: Mapping[str, Sequence[ReportedRow]]

    @classmethod
    def of_newest(cls, place: NightPlace) -> Self:
        """Read the newest report of a night; no rows if there is none."""
        newest = place.newest()
        rows = _read_rows(place, newest) if newest else []
        by_id: dict[str, list[ReportedRow]] = {}
        by_cell: dict[str, list[ReportedRow]] = {}
        for row in rows:
            by_id.setdefault(row.id, []).append(row)
            by_cell.setdefault(spreadsheet_text(row.id), []).append(row)
        return cls(place.date, {row.row: row for row in rows}, by_id, by_cell)

    def is_shared(self, row_id: str) -> bool:
        """Return whether several rows have this id."""
        return len(self.by_id[row_id]) > 1

    def find(self, row_id: str, number: int | None, *, exported: bool) -> ReportedRow:
        """Return the row with this id and, if given, this number.

        exported: whether the id is taken as outliers.csv writes it first, and then as it is; else
        the other way around. Of several rows with one id, the only flagged one is meant. Raises
        UsageError if no row fits, or more than one.
        """
        found = self._with_id(row_id, exported=exported)
        if number is not None:
            return self._with_number(row_id, found, number)
        if not found:
            raise UsageError(f"id '{visible_name(row_id)}' is not in the report of {self.date}")
        flagged = [row for row in found if row.flagged]
        [first, *others] = flagged if len(flagged) == 1 else found
        if others:
            raise UsageError(_ambiguous(row_id, found, self.date))
        return first

    def _with_id(self, row_id: str, *, exported: bool) -> Sequence[ReportedRow]:
        """Return the rows with this id; spaces around it count only if a row has them."""
        ways = (self.by_cell, self.by_id) if exported else (self.by_id, self.by_cell)
        tries = (known.get(text) for text in (row_id, row_id.strip()) for known in ways)
        return next(filter(None, tries), ())

    def _with_number(self, row_id: str, found: Sequence[ReportedRow], number: int) -> ReportedRow:
        row = self.by_row.get(number)
        if row is None:
            raise UsageError(f"row {number} is not in the report of {self.date}")
        if row_id and row not in found:
            raise UsageError(
                f"row {number} of {self.date} has the id '{visible_name(row.id)}', "
                f"not '{visible_name(row_id)}'"
            )
        return row


def _read_rows(place: NightPlace, revision: int) -> list[ReportedRow]:
    columns = ["id", "row", "flagged"]
    table = pq.read_table(place.report(revision) / "outliers.parquet", columns=columns)
    kinds, content = _signatures(place.report(revision) / SIGNATURES)
    return [
        ReportedRow(
            **values,
            kind=kinds.get(values["row"], ""),
            content=content.get(str(values["row"]), ""),
        )
        for values in table.to_pylist()
    ]


def _signatures(path: Path) -> tuple[Mapping[int, str], Mapping[str, str]]:
    """Return the kinds of flagged rows, and the content of listed ones; events have neither."""
    if not path.exists():
        return {}, {}
    found = json.loads(path.read_text(encoding="utf-8"))
    check_format_version(path, found["format_version"], SIGNATURES_VERSION)
    kinds = {row: kind["shared"] for kind in found["kinds"] for row in kind["rows"]}
    return kinds, found["content"]


def _ambiguous(row_id: str, found: Sequence[ReportedRow], date: str) -> str:
    rows = ", ".join(str(row.row) for row in found[:MOST_NAMED])
    more = ", …" if len(found) > MOST_NAMED else ""
    return (
        f"{len(found):,} rows in the report of {date} have the id '{visible_name(row_id)}' "
        f"({rows}{more}); add a column 'row' with the row number"
    )
