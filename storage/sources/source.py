"""What every source offers: rows as chunks of NumPy arrays, in source order, in bounded memory."""

from __future__ import annotations

import difflib
import hashlib
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from storage.errors import SchemaError, SourceError

NUMERIC = "biuf"
WIDEST = 8  # bytes of a value
MOST_NAMED = 100  # columns in one message


@dataclass(frozen=True)
class Schema:
    """What one row is: its shape, NumPy dtype name, and column names (none for arrays)."""

    row_shape: tuple[int, ...]
    dtype: str
    columns: tuple[str, ...] = ()

    @property
    def row_bytes(self) -> int:
        """Bytes of one row in the source's own dtype."""
        return int(np.prod(self.row_shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of one file: rows (n, *row_shape) in the source's dtype, the first of them row number `start` of the source.

    ids: (n,) int64 or text, or None where the row number is the id. file: the file's name inside the source.
    """

    start: int
    rows: NDArray[Any]
    ids: NDArray[Any] | None
    file: str


@dataclass(frozen=True)
class Shard:
    """The rows from `start` up to `stop` (left out) of a source: the unit of storage and resume."""

    index: int
    start: int
    stop: int


class Source(ABC):
    """Rows at some place. Opening one reads headers only, but for CSV, whose rows must be counted.

    sequential: reading row k means reading all rows before it. ignored: columns that are there and
    not read; `ignored_numbers`, those of them that hold numbers, so could be read. facts: for
    people.
    borders: rows at which it is natural to cut, ascending.
    """

    sequential = False

    def __init__(
        self,
        path: Path,
        schema: Schema,
        n_rows: int,
        *,
        files: Sequence[Path],
        missing: str,
        options: str = "",
    ) -> None:
        if not schema.row_bytes:
            raise SourceError(
                f"{path}: rows must hold at least one value. Got the shape {schema.row_shape} instead."
            )
        if np.dtype(schema.dtype).itemsize > WIDEST:
            raise SourceError(
                f"{path}: values must have 64 bits at most. Got {schema.dtype} instead."
            )
        self.path, self.schema, self.n_rows, self.missing = path, schema, n_rows, missing
        self.files, self._options = tuple(files), options
        self.ignored: tuple[str, ...] = ()
        self.ignored_numbers: tuple[str, ...] = ()
        self.facts: Mapping[str, str] = {}
        self.borders: Sequence[int] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    @property
    def n_bytes(self) -> int:
        """Bytes of all rows in the source's own dtype."""
        return self.n_rows * self.schema.row_bytes

    def chunks(self, start: int = 0, stop: int | None = None, *, max_rows: int) -> Iterator[Chunk]:
        """Rows from `start` up to `stop` as chunks of at most `max_rows`, checked.

        Each call opens the files anew.
        Raises SourceError naming file, row and column of a NaN (unless missing = "impute") or an
        infinity.
        """
        stop = self.n_rows if stop is None else min(stop, self.n_rows)
        if start >= stop:
            return
        for chunk in self._read(start, stop, max_rows):
            self._require_finite(chunk)
            yield chunk

    @abstractmethod
    def _read(self, start: int, stop: int, max_rows: int) -> Iterator[Chunk]:
        """The rows as they are, for 0 <= start < stop <= n_rows."""

    def fingerprint(self) -> str:
        """Hash of the files' names, sizes and times of change, and of how they are read.

        Equal means that nothing need be read again.
        """
        parts = [
            str(self.path),
            str(self.schema),
            str(self.n_rows),
            self.missing,
            self._options,
            *_stamps(self.files),
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _require_finite(self, chunk: Chunk) -> None:
        if chunk.rows.dtype.kind != "f":
            return
        bad = np.isinf(chunk.rows) if self.missing == "impute" else ~np.isfinite(chunk.rows)
        if not bad.any():
            return
        place = tuple(int(each) for each in np.argwhere(bad)[0])
        value = chunk.rows[place]
        column = (
            self.schema.columns[place[1]] if self.schema.columns else ", ".join(map(str, place[1:]))
        )
        hint = "mend the row" if np.isinf(value) else 'mend the row, or set data.missing = "impute"'
        file, row = self._place(chunk.start + place[0])
        raise SourceError(
            f"{file}: row {row}, column {column}: expected a number, got {value}; {hint}"
        )

    def _place(self, row: int) -> tuple[Path, int]:
        """The file that holds a row of the source, and the row's number in it."""
        return self.path, row


def files_digest(files: Sequence[Path]) -> str:
    """Hash of the names, sizes and times of change of files, none of which is opened.

    Raises SourceError where one is gone.
    """
    return hashlib.sha256("\n".join(_stamps(files)).encode()).hexdigest()


def _stamps(files: Sequence[Path]) -> list[str]:
    try:
        return [f"{file.name} {(stat := file.stat()).st_size} {stat.st_mtime_ns}" for file in files]
    except OSError as error:
        raise SourceError(f"{error.filename}: cannot be read any more ({error})") from error


def plan_shards(source: Source, shard_bytes: int) -> tuple[Shard, ...]:
    """Cut a source into shards of about `shard_bytes` of input, at natural borders where one is near; it depends on these two alone."""
    target = max(1, shard_bytes // max(1, source.schema.row_bytes))
    shards: list[Shard] = []
    start = 0
    while start < source.n_rows:
        stop = min(start + target, source.n_rows)
        near = bisect_right(source.borders, stop) - 1
        if stop < source.n_rows and near >= 0 and source.borders[near] > start:
            stop = source.borders[near]
        shards.append(Shard(len(shards), start, stop))
        start = stop
    return tuple(shards)


def check_schema(source: Source, expected: Schema) -> None:
    """Raise SchemaError where rows of `source` are not what `expected` (the schema of a model's training data) says."""
    found, wrong = source.schema, []
    if found.row_shape != expected.row_shape:
        wrong.append(
            f"rows must have the shape {expected.row_shape}, as in training. Got {found.row_shape} instead."
        )
    kinds = np.dtype(found.dtype).kind, np.dtype(expected.dtype).kind
    if not expected.columns and (kinds[0] == "f") != (kinds[1] == "f"):
        wrong.append(
            f"values must be {expected.dtype}, as in training. Got {found.dtype} instead; were they scaled in between?"
        )
    if wrong:
        raise SchemaError(f"{source.path}: {' And '.join(wrong)}")


def pick_columns(
    path: Path, kinds: Mapping[str, bool], wanted: Sequence[str], id_column: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The feature columns to read and those left out, from all columns and whether each is numeric.

    Raises SchemaError that names every column that is missing, not numeric, or new.
    """
    named = [*wanted, *([id_column] if id_column else [])]
    new = [name for name in kinds if name not in named]
    missing = [name for name in named if name not in kinds]
    changed = [name for name in wanted if not kinds.get(name, True)]
    if missing or changed:
        said = {
            "missing": [_with_hint(name, new) for name in missing],
            "not numeric": map(repr, changed),
            "not expected": map(repr, new),
        }
        parts = [f"{what}: {_listed(list(names))}" for what, names in said.items()]
        raise SchemaError(
            f"{path}: other columns than expected: {'; '.join(part for part in parts if not part.endswith(': '))}. "
            "Mend the file; or, where the change is meant, mend data.columns or data.id and train on clean data of the new form"
        )
    chosen = tuple(wanted) or tuple(
        name for name, numeric in kinds.items() if numeric and name != id_column
    )
    if not chosen:
        raise SourceError(f"{path}: no numeric column; there are: {_listed(list(kinds))}")
    return chosen, tuple(name for name in kinds if name not in chosen and name != id_column)


def _with_hint(name: str, new: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, new, n=1, cutoff=0.6)
    return f"{name!r} (is it {near[0]!r}?)" if near else repr(name)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


class RowsDigest:
    """SHA-256 of rows and ids, the same however they are cut into chunks."""

    def __init__(self) -> None:
        self._rows, self._ids = hashlib.sha256(), hashlib.sha256()
        self._header = ""

    def update(self, rows: NDArray[Any], ids: NDArray[Any] | None = None) -> None:
        """Take in rows (n, *row_shape) and, where there are any, their ids (n,)."""
        self._header = f"{rows.dtype.name} {rows.shape[1:]}"
        self._rows.update(np.ascontiguousarray(rows, rows.dtype.newbyteorder("<")).data)
        if ids is not None:
            self._ids.update("".join(f"{each}\0" for each in ids).encode())

    def hexdigest(self) -> str:
        """The digest of all rows so far."""
        return hashlib.sha256(
            f"{self._header} {self._rows.hexdigest()} {self._ids.hexdigest()}".encode()
        ).hexdigest()


def combine_digests(digests: Sequence[str]) -> str:
    """One digest for the digests of consecutive shards."""
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
