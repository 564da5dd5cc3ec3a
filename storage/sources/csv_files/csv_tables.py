"""CSV files as a source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.sources.chunks import Chunk
from storage.sources.columns.features import NO_FEATURE, Feature, Wanted, dated_columns
from storage.sources.columns.schema import KEYED, NUMBER, TIME, Schema
from storage.sources.csv_files.cells import GAPS, levels_in, numbers_of, times_in, with_clear_days
from storage.sources.csv_files.scan import CsvFile, scan_file
from storage.sources.csv_files.spread_rows import KeptPart, SpreadRows
from storage.sources.csv_files.text import find_days, find_dialect, read_cell
from storage.sources.partitions import Partitions, folder_values
from storage.sources.source import BROKEN_CELLS, MOST_NAMED, Origin
from storage.sources.tables import TableSource
from storage.sources.typed.batch import Batch
from storage.text import list_first


class CsvSource(TableSource):
    """CSV with a header line; delimiter, decimal mark, and encoding are detected in the first file.

    Opening counts the rows and checks every value. In a column of numbers or times, a cell that is
    none is a gap, and its row is marked as broken.
    """

    sequential = True
    clear_days = "set data.csv.days, or write them as 2026-01-31"

    def __init__(self, path: Path, files: Sequence[Path], wanted: Wanted, *, missing: str) -> None:
        kept = SpreadRows(wanted.keep) if wanted.keep else None
        found = find_dialect(files[0], wanted.csv)
        self.days = found.days or find_days(files, found)
        self.dialect = found._replace(days=self.days)
        self._scans = {file: scan_file(CsvFile(file, self.dialect), wanted, kept) for file in files}
        self.partitions = Partitions({file: folder_values(file) for file in files})
        described = {file: self._scans[file].columns() for file in files}
        features, unread = self.partitions.pick(described, wanted)
        self._features = [each for each in features if each.name not in self.partitions.read]
        self.id_column = wanted.id
        self.text_ids = bool(wanted.id)
        self.starts = list(accumulate((self._scans[file].rows for file in files), initial=0))
        super().__init__(
            Origin(path, tuple(files), missing, f"{wanted.id} {self.dialect}"),
            _layout(features),
            self.starts[-1],
        )
        self.borders = self.starts[1:-1]
        self.unread = unread
        self.folder_columns = [self.partitions.of_file(file) for file in files]
        self.dated = dated_columns([*described.values()], wanted)
        self.not_features = tuple(name for name, why in unread.items() if why == NO_FEATURE)
        self.facts = {
            "format": "CSV",
            **self.dialect.facts(),
            "files": str(len(files)),
            **self._broken_cells(),
            **self._mixed_columns(),
        }
        self.kept = self._converted(kept) if kept else None
        numbers = [each.name for each in self._features if each.kind not in KEYED]
        self.has_gaps = any(s.has_gaps(name) for s in self._scans.values() for name in numbers)

    def _converted(self, kept: SpreadRows) -> NDArray[np.generic]:
        """Return kept rows (n, d) as `chunks` would."""
        parts = [self._converted_part(part) for part in kept.parts()]
        none = np.empty((0, len(self.schema.columns)), self.schema.dtype)
        return np.concatenate([none, *parts])

    def _converted_part(self, part: KeptPart) -> NDArray[np.generic]:
        stored = part.rows.select(list(dict(self._features)))
        batch = self._with_partitions(part.file, self._with_numbers(Batch(0, stored)))
        broken = None if self.missing == "impute" else batch.broken
        chunk = replace(self._chunk(0, batch.rows, part.file.name), broken=broken)
        bad = np.argwhere(self._bad_values(chunk))
        if len(bad):
            row, column = bad[0].tolist()
            raise self._not_finite(
                replace(chunk, start=int(part.numbers[row]) - row), (row, column)
            )
        return chunk.rows

    def _may_round(self, column: pa.Array, name: str) -> bool:
        """Return whether a column is written without decimals; a float64 of it may be rounded."""
        if name in self.partitions.read:
            return super()._may_round(column, name)
        kinds = (scan.scanned[name].found for scan in self._scans.values())
        return bool(pa.types.is_floating(column.type)) and any(map(pa.types.is_integer, kinds))

    def _broken_cells(self) -> dict[str, str]:
        """Count and name the cells of features that cannot be read; empty if there are none."""
        found = [
            scan.unreadable(name, kind, marks=self.missing == "error")
            for scan in self._scans.values()
            for name, kind in dict(self._features).items()
            if kind not in KEYED
        ]
        count = sum(each for each, _ in found)
        if not count:
            return {}
        cells = [cell for _, named in found for cell in named][:MOST_NAMED]
        more = ", …" if count > MOST_NAMED else ""
        return {BROKEN_CELLS: f"{count:,} ({'; '.join(cells)}{more})"}

    def _mixed_columns(self) -> dict[str, str]:
        """Say why columns with some numbers are categories; empty if there are none."""
        keyed = [name for name, kind in self._features if kind in KEYED]
        why = {name: self._why_mixed(name) for name in keyed}
        mixed = [f"{name} ({words})" for name, words in why.items() if words]
        return {"columns of numbers and text": list_first(mixed)} if mixed else {}

    def _why_mixed(self, name: str) -> str:
        return next(filter(None, (scan.why_mixed(name) for scan in self._scans.values())), "")

    def _stored_batches(
        self, file: Path, span: tuple[int, int], max_rows: int, names: Sequence[str]
    ) -> Iterator[Batch]:
        (start, stop), block_start = span, 0
        for block in self._blocks(file, names):
            block_stop = block_start + block.num_rows
            if block_stop > start:
                for batch in _batches_of(Batch(block_start, block), max_rows):
                    yield self._with_numbers(batch)
            if block_stop >= stop:
                return
            block_start = block_stop

    def _blocks(self, file: Path, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        scan = self._scans[file]
        as_text = {self.id_column, self.block.name if self.block else ""}
        numbers = {name for name, kind in self._features if kind == NUMBER} - as_text
        types = {
            name: scan.scanned[name].type if name in numbers else pa.string() for name in names
        }
        try:
            yield from scan.file.batches(types, check_text=bool(self.id_column or self.keys))
        except pa.ArrowInvalid as error:
            raise scan.file.explain(error) from error

    def _with_numbers(self, batch: Batch) -> Batch:
        """Convert features that are read as text, and mark rows in which one cannot be."""
        rows, broken = self._with_days(batch.rows), np.zeros(batch.rows.num_rows, np.bool_)
        block = self._block_column(rows)
        read = set(rows.schema.names)
        for name, kind in dict(self._features).items():
            column = rows.column(name) if name in read else None
            if column is None or not pa.types.is_string(column.type):
                continue
            if kind in KEYED:
                values: pa.Array = levels_in(batch.rows.column(name))  # 1.2.26 may be a version
            else:
                is_time, decimal = kind in TIME, self.dialect.decimal
                found = times_in(column, "") if is_time else numbers_of(column, decimal)
                values, broken = found.values, broken | found.broken | found.marks
            rows = rows.set_column(rows.schema.get_field_index(name), name, values)
        cells = self._cells(batch.rows) if self.exact else None
        if block is not None and self.block and not self.block.by_day:
            block = levels_in(block)
        return Batch(batch.start, rows, broken if broken.any() else None, cells, block)

    def _with_days(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Write days of unclear order in ISO 8601 in all texts but ids, as far as it is known."""
        for place, name in enumerate(rows.schema.names if self.days else ()):
            if name != self.id_column and pa.types.is_string(rows.column(place).type):
                column = with_clear_days(rows.column(place), self.days)
                rows = rows.set_column(place, name, column)
        return rows

    def _cells(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return the text of the columns that a store keeps exactly; an empty cell is a gap."""
        exact, read = self.stored_columns.exact or pa.schema([]), set(rows.schema.names)
        names = [name for name in exact.names if name in read]
        return pa.record_batch([_without_empty(rows.column(name)) for name in names], names)

    def columns_in(self, file: Path) -> Sequence[str]:
        """Return the columns that a file itself holds."""
        return tuple(self._scans[file].names)

    def holds_switches(self, name: str) -> bool:
        """Return whether a column holds Booleans."""
        described = (scan.columns().get(name) for scan in self._scans.values())
        return all(column is not None and column.type == "bool" for column in described)

    def _stored_types(self, name: str) -> list[pa.DataType]:
        number = dict(self._features).get(name) == NUMBER  # all else is read as text
        return [pa.float64() if number else pa.string()]

    def _kind_of(self, name: str) -> str:
        return dict(self._features)[name]

    def _not_finite(self, chunk: Chunk, index: tuple[int, ...]) -> SourceError:
        file, row = self._locate(chunk.start + index[0])
        name = self.schema.columns[index[1]]
        if name in self.partitions.read:
            return super()._not_finite(chunk, index)
        cell = read_cell(file, self.dialect, row, self._scans[file].names.index(name))
        if not _is_broken(chunk, index[0]) or cell.text.strip() in GAPS.to_pylist():
            return super()._not_finite(chunk, index)
        expected = "a number" if self._kind_of(name) == NUMBER else "a time"
        return SourceError(
            f"{file}: row {row} (line {cell.line}), column {name}: expected {expected}, "
            f'got {cell.text!r}; fix the cell, or set data.missing = "impute" to read it as a gap'
        )


def _layout(features: Sequence[Feature]) -> Schema:
    """Return the schema of the rows: of float64, as CSV has no types."""
    columns = tuple(feature.name for feature in features)
    kinds = tuple(feature.kind for feature in features)
    return Schema((len(columns),), "float64", columns, kinds=kinds if {*kinds} != {NUMBER} else ())


def _without_empty(texts: pa.StringArray) -> pa.StringArray:
    return pc.if_else(pc.equal(texts, ""), None, texts)


def _is_broken(chunk: Chunk, row: int) -> bool:
    return chunk.broken is not None and bool(chunk.broken[row])


def _batches_of(block: Batch, max_rows: int) -> Iterator[Batch]:
    for first in range(0, block.rows.num_rows, max_rows):
        yield Batch(block.start + first, block.rows.slice(first, max_rows))
