"""What every source offers: chunks of rows in a fixed order and in bounded memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from storage.errors import SchemaError, SourceError
from storage.sources.digests import file_stamps, sha256_text

NUMERIC = "biuf"
WIDEST = 8  # bytes of a value


@dataclass(frozen=True)
class Schema:
    """Shape, NumPy dtype name and column names of one row; arrays have no column names.

    types: the source's own dtypes where rows are read in a wider one: one for each column, or one
    for all values of an array. flat: a one-dimensional array, whose rows are single values.
    """

    row_shape: tuple[int, ...]
    dtype: str
    columns: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    flat: bool = False

    @property
    def row_bytes(self) -> int:
        """Bytes of one row in the source's own dtype."""
        return int(np.prod(self.row_shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize

    @property
    def array_dtype(self) -> str:
        """NumPy dtype of the rows as one array, as the source has it."""
        return self.types[0] if self.types and not self.columns else self.dtype

    def array_shape(self, n_rows: int) -> tuple[int, ...]:
        """Return the shape of `n_rows` rows as one array, as the source has it."""
        return (n_rows,) if self.flat else (n_rows, *self.row_shape)

    def to_json(self) -> dict[str, object]:
        """Return what a manifest lists; types and flat only where they say something."""
        content: dict[str, object] = {
            "row_shape": list(self.row_shape),
            "dtype": self.dtype,
            "columns": list(self.columns),
        }
        content |= {"types": list(self.types)} if self.types else {}
        return content | ({"flat": True} if self.flat else {})

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Schema:
        """Rebuild a schema from `to_json`."""
        return cls(
            tuple(content["row_shape"]),
            content["dtype"],
            tuple(content["columns"]),
            tuple(content.get("types", ())),
            content.get("flat", False),
        )


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of one file.

    start: row number of the first row within the source.
    rows: (n, *row_shape) in the source's dtype.
    ids: (n,) int64 or text, or None if the row numbers are the ids.
    file: name of the file within the source.
    """

    start: int
    rows: NDArray[np.generic]
    ids: NDArray[np.generic] | None
    file: str


@dataclass(frozen=True)
class Shard:
    """Rows from `start` up to, not including, `stop`: the unit of storage and resume."""

    index: int
    start: int
    stop: int


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
    ignored: columns that are not read; ignored_numbers: the numeric ones among them.
    facts: properties to show, by name.
    borders: rows at which to cut shards if possible, ascending.
    exact: whether to refuse whole numbers that the rows' dtype would round.
    """

    sequential = False
    exact = False

    def __init__(self, origin: Origin, schema: Schema, n_rows: int) -> None:
        _require_storable(origin.path, schema)
        self.path = origin.path
        self.files = origin.files
        self.missing = origin.missing
        self.schema = schema
        self.n_rows = n_rows
        self.ignored: tuple[str, ...] = ()
        self.ignored_numbers: tuple[str, ...] = ()
        self.facts: Mapping[str, str] = {}
        self.borders: Sequence[int] = ()
        self._selected = origin.selected

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    @property
    def n_bytes(self) -> int:
        """Bytes of all rows in the source's own dtype."""
        return self.n_rows * self.schema.row_bytes

    def chunks(self, start: int = 0, stop: int | None = None, *, max_rows: int) -> Iterator[Chunk]:
        """Iterate over rows from `start` up to, not including, `stop`, as validated chunks.

        A chunk has at most `max_rows` rows. Each call reopens the files.

        Raises SourceError that names file, row and column of an infinity, or of a NaN unless
        missing = "impute".
        """
        stop = self.n_rows if stop is None else min(stop, self.n_rows)
        if start >= stop:
            return
        for chunk in self._read(start, stop, max_rows):
            self._require_finite(chunk)
            yield chunk

    @abstractmethod
    def _read(self, start: int, stop: int, max_rows: int) -> Iterator[Chunk]:
        """Yield the rows without validation, for 0 <= start < stop <= n_rows."""

    def fingerprint(self) -> str:
        """Hash the files' names, sizes and modification times, and how they are read.

        Equal fingerprints mean that the rows need not be read again.
        """
        read_as = [str(self.path), str(self.schema), str(self.n_rows), self.missing, self._selected]
        return sha256_text("\n".join([*read_as, *file_stamps(self.files)]))

    def _require_finite(self, chunk: Chunk) -> None:
        if chunk.rows.dtype.kind != "f":
            return
        bad = np.isinf(chunk.rows) if self.missing == "impute" else ~np.isfinite(chunk.rows)
        if bad.any():
            raise self._not_finite(chunk, tuple(np.argwhere(bad)[0].tolist()))

    def _not_finite(self, chunk: Chunk, index: tuple[int, ...]) -> SourceError:
        value = chunk.rows[index]
        file, row = self._locate(chunk.start + index[0])
        hint = "fix the row" if np.isinf(value) else 'fix the row, or set data.missing = "impute"'
        return SourceError(
            f"{file}: row {row}, column {self._column_name(index[1:])}: "
            f"expected a number, got {value}; {hint}"
        )

    def _column_name(self, index: tuple[int, ...]) -> str:
        return self.schema.columns[index[0]] if self.schema.columns else ", ".join(map(str, index))

    def _locate(self, row: int) -> tuple[Path, int]:
        """Return the file that holds a row of the source, and the row's number within it."""
        return self.path, row


def _require_storable(path: Path, schema: Schema) -> None:
    if not schema.row_bytes:
        raise SourceError(
            f"{path}: rows must hold at least one value. Got shape {schema.row_shape} instead."
        )
    if np.dtype(schema.dtype).itemsize > WIDEST:
        raise SourceError(f"{path}: values must have at most 64 bits. Got {schema.dtype} instead.")


def plan_shards(source: Source, shard_bytes: int) -> tuple[Shard, ...]:
    """Cut a source into shards of about `shard_bytes` of input, preferably at its borders.

    The plan depends on the source and `shard_bytes` only.
    """
    shard_rows = max(1, shard_bytes // max(1, source.schema.row_bytes))
    shards: list[Shard] = []
    start = 0
    while start < source.n_rows:
        stop = _shard_end(source, start, shard_rows)
        shards.append(Shard(len(shards), start, stop))
        start = stop
    return tuple(shards)


def _shard_end(source: Source, start: int, shard_rows: int) -> int:
    stop = start + shard_rows
    if stop >= source.n_rows:
        return source.n_rows
    border = bisect_right(source.borders, stop) - 1
    at_border = border >= 0 and source.borders[border] > start
    return source.borders[border] if at_border else stop


def check_schema(source: Source, expected: Schema) -> None:
    """Require rows of the shape and kind of the training data. Raises SchemaError."""
    problems = []
    if source.schema.row_shape != expected.row_shape:
        problems.append(
            f"rows must have shape {expected.row_shape}, as in training. "
            f"Got {source.schema.row_shape} instead."
        )
    if not expected.columns and _is_float(source.schema) != _is_float(expected):
        problems.append(
            f"values must be {expected.dtype}, as in training. "
            f"Got {source.schema.dtype} instead; were they rescaled?"
        )
    if problems:
        raise SchemaError(f"{source.path}: {' Also, '.join(problems)}")


def _is_float(schema: Schema) -> bool:
    return np.dtype(schema.dtype).kind == "f"
