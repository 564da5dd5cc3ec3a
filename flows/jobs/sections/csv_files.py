"""The settings of CSV files."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass

from flows.errors import UsageError
from storage.databases.query import is_query
from storage.sources import DAY_FIRST, MONTH_FIRST, Dialect


@dataclass(frozen=True, kw_only=True)
class CsvSettings:
    """[data.csv]: how CSV files write cells; empty to detect it in the first file of a source.

    delimiter: one character.
    decimal: a point or a comma.
    encoding: one that Python knows, such as `utf-8` or `cp1252`.
    days: `month first` if 1/2/2026 is in January, or `day first`.
    """

    delimiter: str = ""
    decimal: str = ""
    encoding: str = ""
    days: str = ""

    def __post_init__(self) -> None:
        if len(self.delimiter) > 1:
            raise UsageError(
                f"data.csv.delimiter must be one character. Got '{self.delimiter}' instead."
            )
        if self.decimal not in ("", ".", ","):
            raise UsageError(
                "data.csv.decimal must be a point '.' or a comma ','. "
                f"Got '{self.decimal}' instead."
            )
        if self.days not in ("", MONTH_FIRST, DAY_FIRST):
            raise UsageError(
                f"data.csv.days must be '{MONTH_FIRST}' or '{DAY_FIRST}'. "
                f"Got '{self.days}' instead."
            )
        try:
            codecs.lookup(self.encoding or "utf-8")
        except LookupError as error:
            raise UsageError(
                "data.csv.encoding must be one that Python knows, such as utf-8 or cp1252. "
                f"Got '{self.encoding}' instead."
            ) from error

    @property
    def dialect(self) -> Dialect:
        """The dialect, as far as it is set."""
        return Dialect(self.delimiter, self.decimal, self.encoding.lower(), self.days)


DETECTED_CSV = CsvSettings()


def require_csv_files(csv: CsvSettings, inputs: Sequence[str]) -> None:
    """Raise UsageError if `csv` is set and all inputs are queries; others are checked when read."""
    if csv != DETECTED_CSV and all(map(is_query, inputs)):
        raise UsageError(
            "data.csv says how CSV files write cells, but all inputs are queries; remove it"
        )
