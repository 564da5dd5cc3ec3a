"""CSV files as a source."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from storage.errors import SourceError
from storage.sources.columns import pick_columns
from storage.sources.source import Origin, Schema
from storage.sources.tables import Batch, TableSource, is_numeric, own_types, require_distinct

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
BLOCK_BYTES = 4 << 20
SNIFF_BYTES = 1 << 16
NUMBER = r"[-+]?\d*\.?\d+([eE][-+]?\d+)?"


class CsvSource(TableSource):
    """CSV with a header line; the delimiter is detected.

    Opening counts the rows and checks every value.
    """

    sequential = True

    def __init__(
        self, path: Path, files: Sequence[Path], *, columns: Sequence[str], id: str, missing: str
    ) -> None:
        self.delimiter = find_delimiter(files[0])
        self._types = {file: self._infer_types(file) for file in files}
        kinds = {file: _numeric_or_empty(types) for file, types in self._types.items()}
        chosen, ignored = pick_columns(files[0], kinds[files[0]], columns, id)
        for file in files:
            pick_columns(file, kinds[file], chosen, id)
        self._features = chosen
        self.id_column = id
        self.starts = list(accumulate(map(self._count_rows, files), initial=0))
        super().__init__(
            Origin(path, tuple(files), missing, id),
            Schema((len(chosen),), "float64", chosen, self._own_types(chosen)),
            self.starts[-1],
        )
        self.borders = self.starts[1:-1]
        self.ignored = ignored
        self.ignored_numbers = tuple(name for name in ignored if kinds[files[0]][name])
        self.facts = {
            "format": "CSV",
            "delimiter": DELIMITERS[self.delimiter],
            "files": str(len(files)),
        }

    def _own_types(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the dtypes of columns: bool if it is so in every file, else float64."""
        kinds = [np.dtype(bool if self._is_boolean(name) else float) for name in columns]
        return own_types(kinds, np.dtype(float))

    def _is_boolean(self, name: str) -> bool:
        return all(pa.types.is_boolean(types[name]) for types in self._types.values())

    def _may_round(self, column: pa.Array, name: str) -> bool:
        """Return whether a column is written without decimals; a float64 of it may be rounded."""
        whole = (pa.types.is_integer(types[name]) for types in self._types.values())
        return bool(pa.types.is_floating(column.type)) and any(whole)

    def _infer_types(self, file: Path) -> dict[str, pa.DataType]:
        """Return the Arrow type of each column, inferred from the first rows."""
        try:
            with pa_csv.open_csv(file, self._read_options(), self._parse_options()) as reader:
                schema = reader.schema
        except pa.ArrowInvalid as error:
            raise SourceError(
                f"{file}: not a CSV file with a header line and rows ({error})"
            ) from error
        require_distinct(file, schema.names)
        require_header(file, schema.names)
        return {field.name: field.type for field in schema}

    def _count_rows(self, file: Path) -> int:
        return sum(batch.num_rows for batch in self._stream(file))

    def _stream(self, file: Path) -> Iterator[pa.RecordBatch]:
        options = self._read_options(), self._parse_options(), self._convert_options(file)
        try:
            with pa_csv.open_csv(file, *options) as reader:
                yield from reader
        except pa.ArrowInvalid as error:
            raise SourceError(
                f"{file}: {self._explain(error, file)}; "
                "fix the row, or choose other columns with data.columns"
            ) from error

    def _explain(self, error: pa.ArrowInvalid, file: Path) -> str:
        """Return pyarrow's message with the column's name and the line of the file."""
        names = list(self._types[file])

        def named(match: re.Match[str]) -> str:
            return f"column '{names[int(match[1])]}'"

        text = re.sub(r"In CSV column #(\d+)", named, str(error))
        return re.sub(r"Row #(\d+)", r"line \1", text)

    def _stored_batches(self, file: Path, start: int, stop: int, max_rows: int) -> Iterator[Batch]:
        block_start = 0
        for block in self._stream(file):
            block_stop = block_start + block.num_rows
            if block_stop > start:
                yield from _batches_of(Batch(block_start, block), max_rows)
            if block_stop >= stop:
                return
            block_start = block_stop

    def _read_options(self) -> pa_csv.ReadOptions:
        return pa_csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES)

    def _parse_options(self) -> pa_csv.ParseOptions:
        return pa_csv.ParseOptions(delimiter=self.delimiter)

    def _convert_options(self, file: Path) -> pa_csv.ConvertOptions:
        """Read Booleans as such, other features as float64, and ids as text."""
        types = {name: _read_as(self._types[file][name]) for name in self._features}
        if self.id_column:
            types[self.id_column] = pa.string()
        return pa_csv.ConvertOptions(column_types=types, include_columns=list(types))


def _batches_of(block: Batch, max_rows: int) -> Iterator[Batch]:
    for first in range(0, block.rows.num_rows, max_rows):
        yield Batch(block.start + first, block.rows.slice(first, max_rows))


def _read_as(kind: pa.DataType) -> pa.DataType:
    return kind if pa.types.is_boolean(kind) else pa.float64()


def _numeric_or_empty(types: Mapping[str, pa.DataType]) -> dict[str, bool]:
    """Return whether each column may be numeric; one without any value may be."""
    return {name: is_numeric(kind) or pa.types.is_null(kind) for name, kind in types.items()}


def require_header(file: Path, names: Sequence[str]) -> None:
    """Require that the first line holds names. Raises SourceError.

    Sorted numbers pass as names, since they may be wavelengths.
    """
    if not all(re.fullmatch(NUMBER, name) for name in names):
        return
    values = [float(name) for name in names]
    if values not in (sorted(values), sorted(values, reverse=True)):
        raise SourceError(
            f"{file}: the first line holds numbers; "
            "expected a header line with column names, so add one"
        )


def find_delimiter(file: Path) -> str:
    """Detect the delimiter of a CSV file: the one that splits the header into most columns.

    Raises SourceError if the file is empty or not text.
    """
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            text = stream.read(SNIFF_BYTES)
    except UnicodeDecodeError as error:
        raise SourceError(f"{file}: not UTF-8 text ({error}); expected a CSV file") from error
    if not text.strip():
        raise SourceError(f"{file}: empty; expected a header line and rows")
    header = text.splitlines()[0]
    counts = {each: len(next(csv.reader([header], delimiter=each))) for each in DELIMITERS}
    return max(DELIMITERS, key=lambda each: counts[each])
