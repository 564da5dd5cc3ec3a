"""What every source offers: chunks of rows in a fixed order and in bounded memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.files.reads import read_refusals
from storage.sources.chunks import Chunk
from storage.sources.columns.features import BlockColumn, list_by_kind, list_unread
from storage.sources.columns.schema import KEYED, Schema, StoredColumns, require_storable
from storage.sources.digests import file_stamps, sha256_text

NUMERIC = "biuf"
BROKEN_CELLS = "unreadable cells"  # the fact of a source that counts and names them
MOST_NAMED = 5  # of them in one message


@dataclass(frozen=True)
class Origin:
    """Where rows come from and how they are read.

    files: the files behind `path`, in order.
    missing: "error", or "impute" to let NaN pass.
    selected: the field of an array file or the id column of a table, if any.
    """

    path: Path
    files: tuple[Path, ...]
    missing: str
    selected: str = ""


class Source(ABC):
    """Rows of one or more files. Opening reads headers only, except for CSV, which counts rows.

    sequential: whether reading row k requires reading all rows before it.
    unread: columns that are not read, and why; not_features: those that could be read.
    left_out: files and linked folders beside the files that are not read.
    facts: properties to show, by name.
    starts: the first row of each file, then the number of all rows; empty for an array.
    borders: rows at which to cut shards if possible, ascending.
    exact: whether rows are to be stored: whole numbers that their dtype would round are refused.
    broken: name of each file that was left out, and why.
    kept: rows spread over the source that were kept while it was opened; None if it was not asked.
    tolerant: whether rows with an infinity or a gap are marked in `Chunk.usable`, not refused.
    text_ids: whether the rows have ids that are text.
    has_gaps: whether a number or time is known to be missing in some row; see `spread_rows`.
    dated: columns of a table that hold dates, features or not.
    folder_columns: what the folders of each file, or the table's log, name: columns and values.
    block: the column that `Chunk.blocks` is read from, feature or not; set it once it is known.
    """

    sequential = False
    starts: Sequence[int] = ()
    exact = False
    tolerant = False
    text_ids = False
    has_gaps = False
    dated: tuple[str, ...] = ()
    folder_columns: Sequence[Mapping[str, str | None]] = ()
    block: BlockColumn | None = None

    def __init__(self, origin: Origin, schema: Schema, n_rows: int) -> None:
        require_storable(origin.path, schema)
        self.path = origin.path
        self.files = origin.files
        self.missing = origin.missing
        self.schema = schema
        self.n_rows = n_rows
        self.unread: Mapping[str, str] = {}
        self.not_features: tuple[str, ...] = ()
        self.left_out: tuple[Path, ...] = ()
        self.facts: Mapping[str, str] = {}
        self.borders: Sequence[int] = ()
        self.broken: Sequence[tuple[str, str]] = ()
        self.kept: NDArray[np.generic] | None = None
        self._selected = origin.selected

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    @property
    def read_as(self) -> dict[str, str]:
        """The columns by kind, see `list_by_kind`."""
        return list_by_kind(self.schema)

    @property
    def not_read(self) -> dict[str, str]:
        """Columns and files that are not read, and why, by what they are; empty if all are."""
        columns, files = list_unread(self.unread), ", ".join(map(self._shown, self.left_out))
        found = {"columns not read": columns, "files not read": files}
        return {what: names for what, names in found.items() if names}

    def _shown(self, path: Path) -> str:
        return str(path.relative_to(self.path)) if path.is_relative_to(self.path) else path.name

    @property
    def stored_columns(self) -> StoredColumns:
        """What a store keeps as values, and what exactly. Raises SchemaError."""
        return StoredColumns(self.schema)

    @property
    def n_bytes(self) -> int:
        """Bytes of all rows in the source's own dtype."""
        return self.n_rows * self.schema.row_bytes

    def chunks(
        self,
        start: int = 0,
        stop: int | None = None,
        *,
        max_rows: int,
        pass_broken: bool = False,
    ) -> Iterator[Chunk]:
        """Iterate over rows from `start` up to, not including, `stop`, as validated chunks.

        A chunk has at most `max_rows` rows. Each call reopens the files. With `pass_broken`, the
        rows that a chunk marks as broken are not validated; the caller leaves them out.

        Raises SourceError that names file, row and column of an infinity, or of a NaN unless
        missing = "impute"; a tolerant source marks such rows instead. Raises ReadError if the
        operating system refuses.
        """
        stop = self.n_rows if stop is None else min(stop, self.n_rows)
        rows = self._read(start, stop, max_rows) if start < stop else iter(())
        while (chunk := self._next_chunk(rows)) is not None:
            yield self._marked(chunk) if self.tolerant else self._checked(chunk, pass_broken)

    def unchecked_chunks(self, start: int, stop: int, *, max_rows: int) -> Iterator[Chunk]:
        """Iterate over rows like `chunks`, for 0 <= start < stop <= n_rows, without validation."""
        return self._read(start, stop, max_rows)

    def _next_chunk(self, rows: Iterator[Chunk]) -> Chunk | None:
        # Around the read alone: an OSError of whoever consumes the chunk is not a failed read.
        with read_refusals(self.path):
            return next(rows, None)

    @abstractmethod
    def _read(self, start: int, stop: int, max_rows: int) -> Iterator[Chunk]:
        """Yield the rows without validation, for 0 <= start < stop <= n_rows."""

    def fingerprint(self) -> str:
        """Hash the files' names, sizes and modification times, and how they are read.

        Equal fingerprints mean that the rows need not be read again.
        """
        read_as = [str(self.path), str(self.schema), str(self.n_rows), self.missing, self._selected]
        return sha256_text("\n".join([*read_as, *file_stamps(self.files)]))

    def why_unusable(self, chunk: Chunk, index: int) -> str:
        """Name file, row and, if it can be told, column of an unusable row of a chunk."""
        one = slice(index, index + 1)
        broken = None if chunk.broken is None else chunk.broken[one]
        row = replace(chunk, start=chunk.start + index, rows=chunk.rows[one], broken=broken)
        bad = self._bad_values(row)
        if bad.any():
            return str(self._not_finite(row, tuple(np.argwhere(bad)[0].tolist())))
        file, number = self._locate(row.start)
        return f"{file}: row {number}: expected a number in every column, got a gap; fix the row"

    def _bad_values(self, chunk: Chunk) -> NDArray[np.bool_]:
        """Return which values (n, *row_shape) a network cannot be given."""
        if chunk.rows.dtype.kind != "f":
            return np.zeros(chunk.rows.shape, np.bool_)
        finite: NDArray[np.bool_] = np.isfinite(chunk.rows)
        if self.missing == "impute":
            finite |= np.isnan(chunk.rows)
        if self.schema.kinds:  # a gap in a category is a level of its own
            finite[:, [kind in KEYED for kind in self.schema.kinds]] = True
        return ~finite

    def _marked(self, chunk: Chunk) -> Chunk:
        values = self._bad_values(chunk)
        if chunk.usable is None and not values.any():  # a fraction of the time of a look at rows
            return chunk
        bad = np.asarray(values.reshape(len(chunk.rows), -1).any(axis=1))
        if chunk.usable is not None:
            bad |= ~chunk.usable
        return replace(chunk, usable=~bad if bad.any() else None)

    def _checked(self, chunk: Chunk, pass_broken: bool) -> Chunk:
        bad = self._bad_values(chunk)
        if pass_broken and chunk.broken is not None:
            bad[chunk.broken] = False
        if bad.any():
            raise self._not_finite(chunk, tuple(np.argwhere(bad)[0].tolist()))
        return chunk

    def _not_finite(self, chunk: Chunk, index: tuple[int, ...]) -> SourceError:
        value = chunk.rows[index]
        hint = "fix the row" if np.isinf(value) else 'fix the row, or set data.missing = "impute"'
        return SourceError(
            f"{self._place(chunk.start + index[0])}, column {self._column_name(index[1:])}: "
            f"expected a number, got {value}; {hint}"
        )

    def _column_name(self, index: tuple[int, ...]) -> str:
        return self.schema.columns[index[0]] if self.schema.columns else ", ".join(map(str, index))

    def locate(self, row: int) -> tuple[Path, int]:
        """Return the file that holds row number `row` of the source, and its number there."""
        return self._locate(row)

    def _place(self, row: int) -> str:
        """Name a row by its file and its number there; of several files, also over all files."""
        file, file_row = self._locate(row)
        of_all = f" (row {row} over all files)" if len(self.files) > 1 else ""
        return f"{file}: row {file_row}{of_all}"

    def _locate(self, row: int) -> tuple[Path, int]:
        """Return the file that holds a row of the source, and the row's number within it."""
        return self.path, row
