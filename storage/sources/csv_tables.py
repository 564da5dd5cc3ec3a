"""CSV files as a source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.sources.columns import NO_FEATURE, pick_columns
from storage.sources.csv_files.cells import GAPS, MOST_NAMED, numbers_of
from storage.sources.csv_files.scan import CsvFile, scan_file
from storage.sources.csv_files.spread_rows import KeptPart, SpreadRows
from storage.sources.csv_files.text import DELIMITERS, find_delimiter, read_cell
from storage.sources.schema import Schema
from storage.sources.source import BROKEN_CELLS, Chunk, Origin
from storage.sources.tables import Batch, TableSource, own_types


class CsvSource(TableSource):
    """CSV with a header line; the delimiter is detected.

    Opening counts the rows and checks every value. In a column of numbers, a cell that is none is
    a gap, and its row is marked as broken.
    """

    sequential = True

    def __init__(
        self,
        path: Path,
        files: Sequence[Path],
        *,
        columns: Sequence[str],
        id: str,
        missing: str,
        keep: int = 0,
    ) -> None:
        kept = SpreadRows(keep) if keep else None
        self.delimiter = find_delimiter(files[0])
        self._scans = {
            file: scan_file(CsvFile(file, self.delimiter), columns, id, kept) for file in files
        }
        found = self._scans[files[0]].columns()
        chosen, unread = pick_columns(files[0], found, columns, id)
        for file in files:
            pick_columns(file, self._scans[file].columns(), chosen, id)
        self.id_column = id
        self.starts = list(accumulate((self._scans[file].rows for file in files), initial=0))
        super().__init__(
            Origin(path, tuple(files), missing, id),
            Schema((len(chosen),), "float64", chosen, self._own_types(chosen)),
            self.starts[-1],
        )
        self.borders = self.starts[1:-1]
        self.unread = unread
        self.ignored_numbers = tuple(name for name, why in unread.items() if why == NO_FEATURE)
        self.facts = {
            "format": "CSV",
            "delimiter": DELIMITERS[self.delimiter],
            "files": str(len(files)),
            **self._broken_cells(),
        }
        self.kept = self._converted(kept) if kept else None

    def _converted(self, kept: SpreadRows) -> NDArray[np.generic]:
        """Return kept rows (n, d) as `chunks` would."""
        parts = [self._converted_part(part) for part in kept.parts()]
        none = np.empty((0, len(self.schema.columns)), self.schema.dtype)
        return np.concatenate([none, *parts])

    def _converted_part(self, part: KeptPart) -> NDArray[np.generic]:
        batch = self._with_numbers(Batch(0, part.rows.select(list(self.schema.columns))))
        broken = None if self.missing == "impute" else batch.broken
        chunk = replace(self._chunk(0, batch.rows, part.file.name), broken=broken)
        bad = np.argwhere(self._bad_values(chunk))
        if len(bad):
            row, column = bad[0].tolist()
            raise self._not_finite(
                replace(chunk, start=int(part.numbers[row]) - row), (row, column)
            )
        return chunk.rows

    def _own_types(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the dtypes of columns: bool if it is so in every file, else float64."""
        kinds = [np.dtype(bool if self._is_boolean(name) else float) for name in columns]
        return own_types(kinds, np.dtype(float))

    def _is_boolean(self, name: str) -> bool:
        kinds = (scan.scanned[name].type for scan in self._scans.values())
        return all(map(pa.types.is_boolean, kinds))

    def _may_round(self, column: pa.Array, name: str) -> bool:
        """Return whether a column is written without decimals; a float64 of it may be rounded."""
        kinds = (scan.scanned[name].found for scan in self._scans.values())
        return bool(pa.types.is_floating(column.type)) and any(map(pa.types.is_integer, kinds))

    def _broken_cells(self) -> dict[str, str]:
        """Count and name the cells of features that are no number; empty if there are none."""
        scans = [(scan, name) for scan in self._scans.values() for name in self.schema.columns]
        broken = [(scan, name) for scan, name in scans if scan.scanned[name].broken]
        if not broken:
            return {}
        count = sum(scan.scanned[name].broken for scan, name in broken)
        cells = [cell for scan, name in broken[:MOST_NAMED] for cell in scan.broken_cells(name)]
        more = ", …" if count > MOST_NAMED else ""
        return {BROKEN_CELLS: f"{count:,} ({'; '.join(cells[:MOST_NAMED])}{more})"}

    def _stored_batches(self, file: Path, start: int, stop: int, max_rows: int) -> Iterator[Batch]:
        block_start = 0
        for block in self._blocks(file):
            block_stop = block_start + block.num_rows
            if block_stop > start:
                for batch in _batches_of(Batch(block_start, block), max_rows):
                    yield self._with_numbers(batch)
            if block_stop >= stop:
                return
            block_start = block_stop

    def _blocks(self, file: Path) -> Iterator[pa.RecordBatch]:
        scan = self._scans[file]
        types = {name: scan.scanned[name].type for name in self.schema.columns}
        if self.id_column:
            types[self.id_column] = pa.string()
        try:
            yield from scan.file.batches(types, check_text=bool(self.id_column))
        except pa.ArrowInvalid as error:
            raise scan.file.explain(error) from error

    def _with_numbers(self, batch: Batch) -> Batch:
        """Convert features that are read as text, and mark rows in which one is no number."""
        rows, broken = batch.rows, np.zeros(batch.rows.num_rows, np.bool_)
        for index, name in enumerate(self.schema.columns):
            if pa.types.is_string(rows.schema.field(index).type):
                numbers = numbers_of(rows.column(index))
                rows = rows.set_column(index, name, numbers.values)
                broken |= numbers.broken
        return Batch(batch.start, rows, broken if broken.any() else None)

    def _not_finite(self, chunk: Chunk, index: tuple[int, ...]) -> SourceError:
        file, row = self._locate(chunk.start + index[0])
        name = self.schema.columns[index[1]]
        cell = read_cell(file, self.delimiter, row, self._scans[file].names.index(name))
        if not _is_broken(chunk, index[0]) or cell.text.strip() in GAPS.to_pylist():
            return super()._not_finite(chunk, index)
        return SourceError(
            f"{file}: row {row} (line {cell.line}), column {name}: expected a number, "
            f'got {cell.text!r}; fix the cell, or set data.missing = "impute" to read it as a gap'
        )


def _is_broken(chunk: Chunk, row: int) -> bool:
    return chunk.broken is not None and bool(chunk.broken[row])


def _batches_of(block: Batch, max_rows: int) -> Iterator[Batch]:
    for first in range(0, block.rows.num_rows, max_rows):
        yield Batch(block.start + first, block.rows.slice(first, max_rows))
