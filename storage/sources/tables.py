"""What sources of named columns share, whatever the file format."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.errors import SchemaError, SourceError
from storage.sources.chunks import Chunk
from storage.sources.columns.features import Feature, named_features
from storage.sources.columns.kinds import block_values, levels_of, numbers_in, time_parts
from storage.sources.columns.number_types import is_value, number_schema, type_in_all_files
from storage.sources.columns.schema import KEYED, NUMBER, TIME, StoredColumns
from storage.sources.ids import id_texts
from storage.sources.input_files import relative_names
from storage.sources.partitions import NO_PARTITIONS, Partitions
from storage.sources.source import Source
from storage.sources.typed.batch import Batch
from storage.visible_text import visible_name

EXACT = 2**53  # float64 holds every whole number below
BATCH_ROWS = 65_536


class TableSource(Source):
    """Files with the same columns, one after another.

    partitions: the columns that the files' folders name.
    whole_ids: whether every id is an integer that int64 can hold; otherwise ids are text.
    keys: columns that are read along as they are, see `read_keys`.
    days: which comes first in 1/2/2026, see `Dialect`. clear_days: what to do if nothing tells.
    """

    partitions: Partitions = NO_PARTITIONS
    id_column = ""
    whole_ids = False
    keys: tuple[str, ...] = ()
    days = ""
    clear_days = "write them as 2026-01-31"

    def _read(self, start: int, stop: int, max_rows: int) -> Iterator[Chunk]:
        for file, (begin, end) in zip(self.files, pairwise(self.starts), strict=True):
            if begin < stop and end > start:
                first, last = max(start, begin) - begin, min(stop, end) - begin
                name = self._names[file]
                for batch in self._batches(file, first, last, max_rows):
                    chunk = self._chunk(begin + batch.start, batch.rows, name)
                    yield self._with_beside(chunk, file, batch)

    def _with_beside(self, chunk: Chunk, file: Path, batch: Batch) -> Chunk:
        """Return a chunk with what is read beside its features."""
        return replace(
            chunk,
            broken=batch.broken if self.missing == "error" else None,
            beside=self._beside(file, batch),
            blocks=self._blocks_of(batch),
            keys=batch.rows.select([*self.keys]) if self.keys else None,
        )

    def read_keys(self, names: Sequence[str]) -> None:
        """Read these columns along as `Chunk.keys`, features or not. Raises SchemaError."""
        for file in self.files:
            held = {*self.columns_in(file), *self.partitions.names}
            lacking = [name for name in names if name not in held]
            if lacking:
                raise SchemaError(
                    f"{file}: columns do not match: missing: {', '.join(map(repr, lacking))}, by "
                    f"which [series] orders rows; fix the file, or change [series]"
                )
        self.keys = tuple(names)
        self.partitions.read_also(names)

    def why_no_key(self, row: int, name: str, *, expected: str, fix: str = "fix the row") -> str:
        """Say what a column that is read along holds in a row, instead of what is expected."""
        got = self._cell(row, name)
        return f"{self._place(row)}, column {name}: expected {expected}, got {got}; {fix}"

    @abstractmethod
    def columns_in(self, file: Path) -> Sequence[str]:
        """Return the columns that a file itself holds."""

    @abstractmethod
    def holds_switches(self, name: str) -> bool:
        """Return whether a column holds Booleans."""

    @cached_property
    def _names(self) -> dict[Path, str]:
        """The names of the files within the source."""
        return dict(zip(self.files, relative_names(self.path, [*self.files]), strict=True))

    def _batches(
        self, file: Path, start: int, stop: int, max_rows: int, names: Sequence[str] = ()
    ) -> Iterator[Batch]:
        """Yield rows [start, stop) of one file in batches of at most `max_rows` rows.

        names: of the columns to read; all if there are none.
        """
        stored = [name for name in names if name not in self.partitions.read]
        stored = stored or self._columns_read()
        for batch in self._stored_batches(file, (start, stop), max_rows, stored):
            part = batch.cut(start, stop)
            if part.rows.num_rows:
                yield self._with_partitions(file, part)

    def _with_partitions(self, file: Path, batch: Batch) -> Batch:
        count, cells = batch.rows.num_rows, batch.cells
        if cells is not None:
            cells = self.partitions.add_columns(file, cells, count)
        rows = self.partitions.add_columns(file, batch.rows, count)
        return batch._replace(rows=rows, cells=cells)

    @abstractmethod
    def _stored_batches(
        self, file: Path, span: tuple[int, int], max_rows: int, names: Sequence[str]
    ) -> Iterator[Batch]:
        """Yield batches of at most `max_rows` rows of these columns that cover at least a span."""

    def _locate(self, row: int) -> tuple[Path, int]:
        index = bisect_right(self.starts, row) - 1
        return self.files[index], row - self.starts[index]

    def _columns_read(self) -> list[str]:
        """Return the columns that are read from the files themselves."""
        beside = [self.id_column, self.block.name if self.block else "", *self.keys]
        names = dict.fromkeys([*self.schema.names, *filter(None, beside)])
        return [name for name in names if name not in self.partitions.read]

    def _block_column(self, rows: pa.RecordBatch) -> pa.Array | None:
        """Return the column that names the blocks, if it is wanted and was read."""
        name = self.block.name if self.block else ""
        return rows.column(name) if name in rows.schema.names else None

    def _blocks_of(self, batch: Batch) -> NDArray[np.float64] | None:
        """Return the day or the key of the level (n,) of each row; see `Chunk.blocks`."""
        if self.block is None or batch.block is None:
            return None
        return block_values(batch.block, by_day=self.block.by_day)

    def _chunk(self, start: int, batch: pa.RecordBatch, file: str) -> Chunk:
        rows = np.empty((batch.num_rows, len(self.schema.columns)), self.schema.dtype)
        for index, feature in enumerate(named_features(self.schema)):
            rows[:, index] = self._values_of_kind(batch.column(feature.name), feature, start)
        ids = self._ids(batch.column(self.id_column), start) if self.id_column else None
        return Chunk(start, rows, ids, file, usable=self._without_gaps(batch))

    def _without_gaps(self, batch: pa.RecordBatch) -> NDArray[np.bool_] | None:
        """Return which rows (n,) have no gap; None if floats hold gaps as NaN."""
        if not self.tolerant or np.dtype(self.schema.dtype).kind == "f":
            return None
        gaps = [batch.column(name).is_null() for name in self.schema.columns]
        masks = [gap.to_numpy(zero_copy_only=False) for gap in gaps]
        return np.asarray(~np.any(masks, axis=0), np.bool_)

    def _values_of_kind(
        self, column: pa.Array, feature: Feature, start: int
    ) -> NDArray[np.generic]:
        """Return a column as what it is read (n,), see `storage.sources.columns.kinds`."""
        if feature.kind in KEYED:
            return levels_of(column)[0]
        if feature.kind in TIME:
            return time_parts(column, feature.kind)
        return self._values(column, feature.name, start)

    @cached_property
    def stored_columns(self) -> StoredColumns:
        """Numbers of a NumPy dtype are values; all else a store keeps exactly."""
        if not self.schema.kinds:
            return StoredColumns(self.schema)
        types = {name: self.column_types(name) for name in self.schema.names}
        places = {
            name: place
            for place, (name, kind) in enumerate(named_features(self.schema))
            if kind == NUMBER and all(map(is_value, types[name]))
        }
        values = number_schema({name: types[name] for name in places}, self.missing)
        exact = [
            (name, type_in_all_files(self.path, name, types[name]))
            for name in types
            if name not in places
        ]
        names, entity = self.schema.names, self.schema.entity
        return StoredColumns(values, tuple(places.values()), names, pa.schema(exact), entity)

    def column_types(self, name: str) -> list[pa.DataType]:
        """Return the Arrow types of a column in each file or folder."""
        partition = self.partitions.read.get(name)
        return [partition] if partition else self._stored_types(name)

    @abstractmethod
    def _stored_types(self, name: str) -> list[pa.DataType]:
        """Return the Arrow types of a column that the files themselves hold."""

    def _beside(self, file: Path, batch: Batch) -> pa.RecordBatch | None:
        """Return the columns that a store keeps exactly."""
        exact = self.stored_columns.exact if self.exact else None
        if exact is None:
            return None
        rows = batch.rows if batch.cells is None else batch.cells
        try:
            columns = [rows.column(field.name).cast(field.type) for field in exact]
        except pa.ArrowInvalid as error:
            raise SourceError(
                f"{file}: a value does not fit the type that its column has in all files together "
                f"({error}); write the files with the same types"
            ) from error
        return pa.record_batch(columns, schema=exact)

    def column_batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield these columns of all rows in order, as values and levels are made of them."""
        for file, (begin, end) in zip(self.files, pairwise(self.starts), strict=True):
            for batch in self._batches(file, 0, end - begin, BATCH_ROWS, names):
                yield batch.rows

    def _values(self, column: pa.Array, name: str, start: int) -> NDArray[np.generic]:
        """Return numbers as an array (n,); gaps become NaN if the dtype can hold it."""
        if column.null_count and np.dtype(self.schema.dtype).kind != "f":
            if self.tolerant:
                filler = False if pa.types.is_boolean(column.type) else 0
                return np.asarray(column.fill_null(filler))
            place = self._place(start + column.is_null().index(True).as_py())
            raise SourceError(
                f"{place}, column {name}: expected a number, got nothing; "
                'fix the row, or set data.missing = "impute"'
            )
        if self.exact and self._may_round(column, name):
            self._require_exact(column, name, start)
        return np.asarray(numbers_in(column).to_numpy(zero_copy_only=False))

    def _may_round(self, column: pa.Array, name: str) -> bool:  # noqa: ARG002
        """Return whether a column has whole numbers that the rows' dtype cannot hold.

        Files without types tell it by the name.
        """
        kind = np.dtype(self.schema.dtype).kind
        return kind == "f" and bool(pa.types.is_integer(column.type))

    def _require_exact(self, column: pa.Array, name: str, start: int) -> None:
        """Raise SourceError that names the first whole number that float64 may round."""
        values = column.fill_null(0).to_numpy(zero_copy_only=False)
        places = np.flatnonzero((values >= EXACT) | (values <= -EXACT))
        if len(places):
            place = self._place(start + int(places[0]))
            raise SourceError(
                f"{place}, column {name}: expected whole numbers below 2^53, which "
                f"{self.schema.dtype} holds exactly, got {column[int(places[0])]}; ignore it if it "
                "numbers cards or the like, subtract an offset, or encode it in a job of its own"
            )

    def _not_finite(self, chunk: Chunk, index: tuple[int, ...]) -> SourceError:
        name, kind = named_features(self.schema)[index[1]]
        if kind not in TIME:
            return super()._not_finite(chunk, index)
        row = chunk.start + index[0]
        return SourceError(
            f"{self._place(row)}, column {name}: expected a time, got {self._cell(row, name)}; "
            'fix the row, or set data.missing = "impute" to read it as a gap'
        )

    def _cell(self, row: int, name: str) -> str:
        """Return a cell as a message shows it."""
        cell = self.cell_of(row, name)[0].as_py()
        return "nothing" if cell is None else f"'{visible_name(str(cell))}'"

    def cell_of(self, row: int, name: str) -> pa.Array:
        """Return the cell of a row in a column, as an array of one value."""
        file, number = self._locate(row)
        batch = next(self._batches(file, number, number + 1, BATCH_ROWS, [name]))
        return batch.rows.column(name)

    def _ids(self, column: pa.Array, start: int) -> NDArray[np.generic]:
        """Return ids (n,): int64, or text; the same in all chunks."""
        if self.whole_ids:
            self._require_ids(column.is_null().to_pylist(), start)
            return np.asarray(column.to_numpy()).astype(np.int64)
        texts = self._id_texts(column, start)
        self._require_ids([not text for text in texts], start)
        return np.array(texts, dtype=object)

    def _id_texts(self, column: pa.Array, start: int) -> list[str | None]:
        try:
            return id_texts(column)
        except ValueError as error:
            raise SourceError(
                f"{self._locate(start)[0]}: column {self.id_column}: expected ids that can be "
                f"shown as text, got {error}; choose another data.id"
            ) from error

    def _require_ids(self, missing: Sequence[bool], start: int) -> None:
        if any(missing):
            place = self._place(start + missing.index(True))
            raise SourceError(
                f"{place}, column {self.id_column}: expected an id, got nothing; "
                "fix the row, or choose another data.id"
            )
