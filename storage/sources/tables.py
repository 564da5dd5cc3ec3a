"""Sources of columns:

Parquet and CSV, as a file, a folder or a glob. Values are cast to one common dtype.
"""

from __future__ import annotations

import csv
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.sources.source import Chunk, Schema, Source, pick_columns

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
BLOCK_BYTES = 4 << 20
SNIFF_BYTES = 1 << 16


class TableSource(Source):
    """Files with the same columns, one after the other.

    `starts` holds the first row of each file, and the number of all rows.
    whole_ids: every id is a whole number that int64 holds; else they are text.
    """

    starts: Sequence[int] = (0,)
    id_column = ""
    whole_ids = False

    def _read(self, start: int, stop: int, max_rows: int) -> Iterator[Chunk]:
        first = bisect_right(self.starts, start) - 1
        for file, begin, end in list(zip(self.files, self.starts, self.starts[1:], strict=False))[
            first:
        ]:
            if begin >= stop:
                return
            for at, batch in self._batches(
                file, max(start, begin) - begin, min(stop, end) - begin, max_rows
            ):
                yield self._chunk(begin + at, batch, file.name)

    def _place(self, row: int) -> tuple[Path, int]:
        index = bisect_right(self.starts, row) - 1
        return self.files[index], row - self.starts[index]

    def _batches(
        self, file: Path, start: int, stop: int, max_rows: int
    ) -> Iterator[tuple[int, Any]]:
        """Record batches of at most `max_rows` rows of one file, each with its first row's number in the file."""
        raise NotImplementedError

    def _chunk(self, start: int, batch: Any, file: str) -> Chunk:
        rows = np.empty((batch.num_rows, len(self.schema.columns)), self.schema.dtype)
        for index, name in enumerate(self.schema.columns):
            rows[:, index] = self._values(batch.column(name), name, start)
        return Chunk(
            start,
            rows,
            self._ids(batch.column(self.id_column), start) if self.id_column else None,
            file,
        )

    def _values(self, column: Any, name: str, start: int) -> NDArray[Any]:
        if column.null_count and np.dtype(self.schema.dtype).kind != "f":
            file, row = self._place(start + first_gap(column))
            raise SourceError(
                f'{file}: row {row}, column {name}: expected a number, got nothing; mend the row, or set data.missing = "impute"'
            )
        if pa.types.is_boolean(column.type):
            column = column.cast(
                pa.uint8()
            )  # a gap among truth values becomes NaN, as among numbers
        return np.asarray(column.to_numpy(zero_copy_only=False))

    def _ids(self, column: Any, start: int) -> NDArray[Any]:
        """Ids (n,), of one kind in all chunks: int64, or text."""
        if not self.whole_ids:
            return np.array([str(each) for each in column.to_pylist()], dtype=object)
        if column.null_count:
            file, row = self._place(start + first_gap(column))
            raise SourceError(
                f"{file}: row {row}, column {self.id_column}: expected an id, got nothing; mend the row, or choose another data.id"
            )
        return np.asarray(column.to_numpy()).astype(np.int64)


class ParquetSource(TableSource):
    """Parquet, read one row group at a time."""

    def __init__(
        self, path: Path, files: Sequence[Path], *, columns: Sequence[str], id: str, missing: str
    ) -> None:
        opened = [open_parquet(file) for file in files]
        for file, each in zip(files, opened, strict=True):
            require_distinct(file, each.schema_arrow.names)
        kinds = {field.name: is_numeric(field.type) for field in opened[0].schema_arrow}
        chosen, ignored = pick_columns(files[0], kinds, columns, id)
        for file, each in zip(files, opened, strict=True):
            pick_columns(
                file,
                {field.name: is_numeric(field.type) for field in each.schema_arrow},
                chosen,
                id,
            )
        dtypes = [
            each.schema_arrow.field(name).type.to_pandas_dtype()
            for each in opened
            for name in chosen
        ]
        dtype = np.result_type(*(np.uint8 if kind is np.bool_ else kind for kind in dtypes))
        dtype = np.result_type(dtype, np.float32) if missing == "impute" else dtype
        whole_ids = bool(id) and all(is_whole(each.schema_arrow.field(id).type) for each in opened)
        groups = [0]
        starts = [0]
        for each in opened:
            sizes = [
                each.metadata.row_group(index).num_rows for index in range(each.num_row_groups)
            ]
            groups += [groups[-1] + int(done) for done in np.cumsum(sizes)] if sizes else []
            starts.append(starts[-1] + each.metadata.num_rows)
            each.close()
        super().__init__(
            path,
            Schema((len(chosen),), dtype.name, chosen),
            starts[-1],
            files=files,
            missing=missing,
            options=id,
        )
        self.starts, self.borders, self.ignored, self.id_column, self.whole_ids = (
            starts,
            groups,
            ignored,
            id,
            whole_ids,
        )
        self.ignored_numbers = tuple(name for name in ignored if kinds[name])
        self.facts = {"format": "Parquet", "files": str(len(files))}

    def _batches(
        self, file: Path, start: int, stop: int, max_rows: int
    ) -> Iterator[tuple[int, Any]]:
        names = [*self.schema.columns, *([self.id_column] if self.id_column else [])]
        with open_parquet(file) as opened:
            group_start = 0
            for group in range(opened.num_row_groups):
                group_stop = group_start + opened.metadata.row_group(group).num_rows
                if group_start < stop and group_stop > start:
                    try:
                        for batch in opened.iter_batches(
                            batch_size=max_rows,
                            row_groups=[group],
                            columns=names,
                            use_threads=False,
                        ):
                            yield from cut_batch(batch, group_start, start, stop)
                            group_start += batch.num_rows
                    except (OSError, pa.ArrowInvalid) as error:
                        raise SourceError(
                            f"{file}: row group {group} cannot be read ({error}); restore the file from its origin"
                        ) from error
                group_start = group_stop


class CsvSource(TableSource):
    """CSV with a header line; the delimiter is found.

    Rows are counted, and every value checked, when it is opened.
    """

    sequential = True

    def __init__(
        self, path: Path, files: Sequence[Path], *, columns: Sequence[str], id: str, missing: str
    ) -> None:
        self.delimiter = find_delimiter(files[0])
        self._types = {file: self._look_at(file) for file in files}
        # a column without any value may be numeric
        kinds = {
            file: {
                name: is_numeric(kind) or pa.types.is_null(kind)
                for name, kind in self._types[file].items()
            }
            for file in files
        }
        chosen, ignored = pick_columns(files[0], kinds[files[0]], columns, id)
        for file in files:
            pick_columns(file, kinds[file], chosen, id)
        super().__init__(
            path,
            Schema((len(chosen),), "float64", chosen),
            0,
            files=files,
            missing=missing,
            options=id,
        )
        self.id_column, self.ignored, self.ignored_numbers = (
            id,
            ignored,
            tuple(name for name in ignored if kinds[files[0]][name]),
        )
        starts = [0]
        for file in files:
            starts.append(starts[-1] + sum(batch.num_rows for batch in self._stream(file)))
        self.starts, self.borders, self.n_rows = starts, starts[1:-1], starts[-1]
        self.facts = {
            "format": "CSV",
            "delimiter": DELIMITERS[self.delimiter],
            "files": str(len(files)),
        }

    def _look_at(self, file: Path) -> dict[str, Any]:
        """The Arrow type of each column, as its first rows look."""
        try:
            with pa_csv.open_csv(file, self._reading(), self._parsing()) as reader:
                schema = reader.schema
        except pa.ArrowInvalid as error:
            raise SourceError(
                f"{file}: not a CSV file with a header line and rows ({error})"
            ) from error
        require_distinct(file, schema.names)
        require_header(file, schema.names)
        return {field.name: field.type for field in schema}

    def _stream(self, file: Path) -> Iterator[Any]:
        found = self._types[file]
        types = {
            name: found[name] if pa.types.is_boolean(found[name]) else pa.float64()
            for name in self.schema.columns
        }
        types |= {self.id_column: pa.string()} if self.id_column else {}
        converting = pa_csv.ConvertOptions(column_types=types, include_columns=list(types))
        try:
            with pa_csv.open_csv(file, self._reading(), self._parsing(), converting) as reader:
                yield from reader
        except pa.ArrowInvalid as error:
            raise SourceError(
                f"{file}: {self._in_words(error, file)}; mend the row, or choose other columns with data.columns"
            ) from error

    def _in_words(self, error: pa.ArrowInvalid, file: Path) -> str:
        """What pyarrow says, with the column's name for its number and the line of the file for its row."""
        names = list(self._types[file])
        text = re.sub(
            r"In CSV column #(\d+)", lambda found: f"column '{names[int(found[1])]}'", str(error)
        )
        return re.sub(r"Row #(\d+)", r"line \1", text)

    def _batches(
        self, file: Path, start: int, stop: int, max_rows: int
    ) -> Iterator[tuple[int, Any]]:
        at = 0
        for batch in self._stream(file):
            for first in range(0, batch.num_rows, max_rows):
                yield from cut_batch(batch.slice(first, max_rows), at + first, start, stop)
            at += batch.num_rows
            if at >= stop:
                return

    def _reading(self) -> Any:
        return pa_csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES)

    def _parsing(self) -> Any:
        return pa_csv.ParseOptions(delimiter=self.delimiter)


def open_parquet(file: Path) -> Any:
    """A ParquetFile that checks page checksums. Raises SourceError."""
    try:
        return pq.ParquetFile(file, page_checksum_verification=True, pre_buffer=False)
    except (OSError, pa.ArrowInvalid) as error:
        raise SourceError(f"{file}: not a Parquet file, or truncated ({error})") from error


def require_distinct(file: Path, names: Sequence[str]) -> None:
    """Raise SourceError where two columns have one name."""
    if len(set(names)) < len(names):
        raise SourceError(
            f"{file}: the header names a column twice: {', '.join(map(repr, names))}; give each a name of its own"
        )


def require_header(file: Path, names: Sequence[str]) -> None:
    """Raise SourceError where the first line holds values: numbers in no order.

    In order they may be names, such as wavelengths.
    """
    if not all(re.fullmatch(r"[-+]?\d*\.?\d+([eE][-+]?\d+)?", name) for name in names):
        return
    values = [float(name) for name in names]
    if values not in (sorted(values), sorted(values, reverse=True)):
        raise SourceError(
            f"{file}: the first line holds numbers; expected a header line with the names of the columns, so write one"
        )


def cut_batch(batch: Any, at: int, start: int, stop: int) -> Iterator[tuple[int, Any]]:
    """The part of a record batch whose first row is `at` that lies within [start, stop), with its first row; nothing where there is none."""
    first, last = max(start - at, 0), min(stop - at, batch.num_rows)
    if first < last:
        yield at + first, batch.slice(first, last - first)


def first_gap(column: Any) -> int:
    """Place of the first null of a column that has one."""
    return int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])


def is_whole(kind: Any) -> bool:
    """Whether an Arrow type is one of whole numbers that int64 holds."""
    return bool(pa.types.is_integer(kind)) and kind != pa.uint64()


def is_numeric(kind: Any) -> bool:
    """Whether an Arrow type is a number or a truth value."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    )


def find_delimiter(file: Path) -> str:
    """The delimiter of a CSV file, from its first lines.

    Raises SourceError where it is empty or not text.
    """
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            text = stream.read(SNIFF_BYTES)
    except UnicodeDecodeError as error:
        raise SourceError(f"{file}: not text in UTF-8 ({error}); expected a CSV file") from error
    if not text.strip():
        raise SourceError(f"{file}: empty; expected a header line and rows")
    header = text.splitlines()[0]
    counts = {each: len(next(csv.reader([header], delimiter=each))) for each in DELIMITERS}
    return max(DELIMITERS, key=lambda each: counts[each])
