"""JSON lines as a source: one object a line, also compressed."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json

from storage.errors import SourceError
from storage.objects.paths import input_stream
from storage.sources.columns.features import Column, Wanted
from storage.sources.columns.kinds import ISO_TIME
from storage.sources.columns.number_types import common_type
from storage.sources.columns.schema import CATEGORY, TIME
from storage.sources.csv_files.text import decompressing
from storage.sources.input_files import COMPRESSED
from storage.sources.typed.typed_tables import Footer, TypedSource, cut_rows

BLOCK_BYTES, LONGEST_LINE = 4 << 20, 64 << 20


class LinesScan(NamedTuple):
    """What a pass over a file found.

    offsets: the byte at which each block of lines starts. times: columns of text that hold nothing
    but times in ISO 8601.
    """

    footer: Footer
    offsets: list[int]
    times: Collection[str]


class JsonLinesSource(TypedSource):
    """JSON lines. Opening reads all rows, to find their columns and types.

    A key that is absent, in a row or in all rows of a file, is a gap. Times are read as text.
    """

    format = "JSON lines"
    part = "block"

    def __init__(self, path: Path, files: Sequence[Path], wanted: Wanted, *, missing: str) -> None:
        self.sequential = any(map(_is_compressed, files))
        self._scans: dict[Path, LinesScan] = {}
        super().__init__(path, files, wanted, missing=missing)
        self._require_exact_ids()

    def _read_footers(self, files: Sequence[Path]) -> list[Footer]:
        self._scans = {file: _scan(file) for file in files}
        footers = [self._scans[file].footer for file in files]
        names = dict.fromkeys(name for footer in footers for name in footer.schema.names)
        return [_with_all(footer, names) for footer in footers]

    def _read_footer(self, file: Path) -> Footer:
        return self._footers[file]

    def _columns(self, file: Path) -> dict[str, Column]:
        times = Column(TIME, (CATEGORY,), type="times as text")
        return super()._columns(file) | dict.fromkeys(self._scans[file].times, times)

    def _read_parts(
        self, file: Path, parts: range, max_rows: int, names: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        footer, offsets = self._footers[file], self._scans[file].offsets
        types = pa.schema([footer.schema.field(name) for name in names])
        row = self._part_starts(file)[parts.start]
        if not parts:
            return
        first = 0 if _is_compressed(file) else parts.start
        for part, text in enumerate(_blocks(file, offsets[first]), start=first):
            if part in parts:
                rows = _parse(file, text, row, types)
                row += rows.num_rows
                yield from cut_rows(rows, max_rows)
            if part == parts[-1]:
                return

    def _require_exact_ids(self) -> None:
        if self.id_column and any(map(pa.types.is_floating, self.column_types(self.id_column))):
            raise SourceError(
                f"{self.path}: column {self.id_column}: expected whole numbers of at most 64 bits "
                "or text as ids, got decimals or larger numbers, which would be rounded; write the "
                "ids as text, or choose another data.id"
            )


def _scan(file: Path) -> LinesScan:
    """Find the columns of a file, their types, and its blocks. Raises SourceError."""
    found: dict[str, pa.DataType] = {}
    times: dict[str, bool] = {}
    filled = Counter[str]()
    offsets: list[int] = []
    sizes: list[int] = []
    offset = 0
    for text in _blocks(file):
        rows = _parse(file, text, sum(sizes))
        for field, column in zip(rows.schema, rows.columns, strict=True):
            known = found.get(field.name, field.type)
            found[field.name] = _joined(file, field.name, (known, field.type), sum(sizes))
            filled[field.name] += len(column) - column.null_count
            if pa.types.is_string(field.type):
                times[field.name] = times.get(field.name, True) and _are_times(column)
        offsets.append(offset)
        sizes.append(rows.num_rows)
        offset += len(text)
    if not found:
        raise SourceError(f"{file}: no rows; expected a JSON object on each line")
    lacking = [name for name in found if filled[name] < sum(sizes)]
    footer = Footer(pa.schema(list(found.items())), sizes, lacking)
    return LinesScan(footer, offsets, [name for name, fit in times.items() if fit])


def _joined(
    file: Path, name: str, types: tuple[pa.DataType, pa.DataType], start: int
) -> pa.DataType:
    """Return the type of a column that has one type before row `start`, and one from there on."""
    try:
        return common_type(types)
    except pa.ArrowException as error:
        raise SourceError(
            f"{file}: column {name}: {types[0]} up to row {start}, {types[1]} from there on; "
            "write its values as one type"
        ) from error


def _are_times(texts: pa.Array) -> bool:
    fit = pc.all(pc.match_substring_regex(pc.utf8_trim_whitespace(texts), ISO_TIME))
    return bool(fit.as_py())


def _with_all(footer: Footer, names: Collection[str]) -> Footer:
    """Add columns that a file lacks, as columns without values."""
    lacking = [name for name in names if name not in footer.schema.names]
    schema = pa.schema([*footer.schema, *(pa.field(name, pa.null()) for name in lacking)])
    return Footer(schema, footer.sizes, [*footer.lacking, *lacking])


def _parse(file: Path, text: bytes, start: int, types: pa.Schema | None = None) -> pa.RecordBatch:
    """Parse lines that start at row `start`, as the given or the found types. Raises SourceError.

    What looks like a time is found as text.
    """
    try:
        rows = _table(text, types)
        if types is None and any(map(pa.types.is_timestamp, rows.schema.types)):
            rows = _table(text, pa.schema(map(_time_as_text, rows.schema)))
        return _one_batch(rows)
    except UnicodeDecodeError as error:
        raise SourceError(f"{file}: not UTF-8 text ({error}); write it as UTF-8") from error
    except pa.ArrowInvalid as error:
        why = re.sub(r"in row (\d+)", lambda found: f"in row {int(found[1]) + start}", str(error))
        raise SourceError(
            f"{file}: expected one JSON object a line, got: {why}; fix the row"
        ) from error


def _table(text: bytes, types: pa.Schema | None) -> pa.Table:
    read = pa_json.ReadOptions(use_threads=False, block_size=len(text))
    parse = pa_json.ParseOptions(
        explicit_schema=types, unexpected_field_behavior="infer" if types is None else "ignore"
    )
    if not text.strip():
        return pa.table({}) if types is None else types.empty_table()
    return pa_json.read_json(pa.BufferReader(text), read, parse)


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    columns = [column.combine_chunks() for column in table.columns]
    rows = pa.record_batch(columns, schema=table.schema)
    rows.validate(full=True)  # the text may not be UTF-8
    return rows


def _time_as_text(field: pa.Field) -> pa.Field:
    return field.with_type(pa.string()) if pa.types.is_timestamp(field.type) else field


def _is_compressed(file: Path) -> bool:
    return file.name.lower().endswith(COMPRESSED)


def _blocks(file: Path, offset: int = 0) -> Iterator[bytes]:
    """Yield blocks of whole lines from a byte on. Raises SourceError."""
    with _open(file) as stream:
        if offset:
            stream.seek(offset)
        while True:
            with decompressing(file):
                text = stream.read(BLOCK_BYTES)
                text += stream.readline(LONGEST_LINE)
            if not text:
                return
            if len(text) >= LONGEST_LINE:
                raise SourceError(
                    f"{file}: a line is longer than {LONGEST_LINE:,} bytes; "
                    "expected one JSON object a line"
                )
            yield text


@contextmanager
def _open(file: Path) -> Iterator[io.BufferedReader]:
    if not _is_compressed(file):
        with file.open("rb") as opened:
            yield opened
        return
    with decompressing(file), input_stream(file) as stream:
        yield io.BufferedReader(stream)
