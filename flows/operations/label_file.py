"""A file of labels: CSV or Parquet with the columns date, id, label and, where needed, row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from flows.errors import UsageError
from storage.sources.csv_files.text import find_dialect

LABELS = ("outlier", "normal")
COLUMNS = ("date", "id", "label")
ROW = "row"  # which of several rows with one id


@dataclass(frozen=True)
class LabelLine:
    """One line of a label file, as written there; `row` is None if the file does not say it.

    exported: whether the file is CSV, where ids may be as outliers.csv writes them.
    """

    number: int
    date: str
    id: str
    row: int | None
    label: str
    exported: bool


def read_label_file(file: Path) -> Iterator[LabelLine]:
    """Yield the lines of a label file.

    Raises UsageError if the file cannot be read or lacks a column, or for a wrong label or row.
    """
    exported = not _is_parquet(file)
    for number, values in enumerate(_read_table(file).to_pylist(), start=2):  # line 1: header
        try:
            yield _line(number, values, exported=exported)
        except UsageError as error:
            raise UsageError(f"{file}: line {number}: {error}; no labels were imported") from error


def _is_parquet(file: Path) -> bool:
    return file.suffix == ".parquet"


def _line(number: int, values: Mapping[str, object], *, exported: bool) -> LabelLine:
    texts = {name: "" if value is None else str(value) for name, value in values.items()}
    label = texts["label"].strip()
    if label not in LABELS:
        raise UsageError(f"label must be one of {', '.join(LABELS)}. Got '{label}' instead")
    row = _row_number(texts.get(ROW, "").strip())
    return LabelLine(number, texts["date"].strip(), texts["id"], row, label, exported)


def _row_number(text: str) -> int | None:
    try:
        return int(text) if text else None
    except ValueError as error:
        raise UsageError(
            f"row must be a row number, as in outliers.csv. Got '{text}' instead"
        ) from error


def _read_table(file: Path) -> pa.Table:
    expected = ", ".join(COLUMNS)
    try:
        table = pq.read_table(file) if _is_parquet(file) else _read_csv(file)
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        raise UsageError(
            f"{file}: could not be read ({error});"
            f" expected CSV or Parquet with the columns {expected}"
        ) from error
    if missing := set(COLUMNS) - set(table.column_names):
        raise UsageError(
            f"{file}: no column '{min(missing)}';"
            f" expected {expected}, got {', '.join(table.column_names)}"
        )
    return table.select([name for name in table.column_names if name in (*COLUMNS, ROW)])


def _read_csv(file: Path) -> pa.Table:
    as_text = dict.fromkeys((*COLUMNS, ROW), pa.string())  # an id such as 007 is not a number
    dialect = find_dialect(file)  # spreadsheets save in the encoding and delimiter of their locale
    return pa_csv.read_csv(
        file,
        read_options=pa_csv.ReadOptions(encoding=dialect.arrow_encoding),
        parse_options=pa_csv.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(column_types=as_text),
    )
