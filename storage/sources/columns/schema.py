"""What one row of a source looks like."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from storage.errors import SchemaError, SourceError

if TYPE_CHECKING:
    import pyarrow as pa

WIDEST = 8  # bytes of a value
NUMBER, CATEGORY, HOUR, WEEKDAY = "number", "category", "hour", "weekday"
ENTITY = "entity"  # what a row belongs to, by which it is scaled; no feature
KEYED = (CATEGORY, ENTITY)  # read as keys of levels
TIME = (HOUR, WEEKDAY)

Kinds = Mapping[str, tuple[str, ...]]  # by column: as what it is read; () for not at all


@dataclass(frozen=True)
class Schema:
    """Shape, NumPy dtype name and column names of one row; arrays have no column names.

    types: the source's own dtypes where rows are read in a wider one: one for each column, or one
    for all values of an array. flat: a one-dimensional array, whose rows are single values.
    kinds: the kind of each column; () if all are numbers. The two features of a time have one name.
    """

    row_shape: tuple[int, ...]
    dtype: str
    columns: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    flat: bool = False
    kinds: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of the source, each once."""
        return tuple(dict.fromkeys(self.columns))

    @property
    def entity(self) -> str:
        """The column that names a row's entity; '' without one."""
        return self.columns[self.kinds.index(ENTITY)] if ENTITY in self.kinds else ""

    @property
    def row_bytes(self) -> int:
        """Bytes of one row in the source's own dtype."""
        return math.prod(self.row_shape) * np.dtype(self.dtype).itemsize

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
        content |= {"kinds": list(self.kinds)} if self.kinds else {}
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
            tuple(content.get("kinds", ())),
        )


@dataclass(frozen=True)
class StoredColumns:
    """What a store keeps of rows: values, and columns exactly as the source has them.

    values: the rows themselves; of a table with categories or times, its numbers.
    places: the features that are such numbers. names: all columns, in order. exact: the columns
    that are no such numbers, None if there are none. entity: the one of these by which rows are
    scaled, or ''.
    """

    values: Schema
    places: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    exact: pa.Schema | None = None
    entity: str = ""

    def pick(self, rows: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return the values (n, m) of rows (n, d), or all rows."""
        return rows if self.exact is None else np.ascontiguousarray(rows[:, self.places])

    def values_of(self, rows: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return the values (n, m) of rows (n, d) of the source, in their own dtype."""
        return rows if self.exact is None else self.pick(rows).astype(self.values.dtype)


def require_storable(path: Path, schema: Schema) -> None:
    """Require rows with values of at most 64 bits. Raises SourceError."""
    if not schema.row_bytes:
        raise SourceError(
            f"{path}: rows must hold at least one value. Got shape {schema.row_shape} instead."
        )
    if np.dtype(schema.dtype).itemsize > WIDEST:
        raise SourceError(f"{path}: values must have at most 64 bits. Got {schema.dtype} instead.")


def check_schema(path: Path, found: Schema, expected: Schema) -> None:
    """Require rows of the shape and kind of the training data. Raises SchemaError."""
    problems = []
    if found.kinds != expected.kinds:
        problems.append(
            f"columns must be of the kinds {', '.join(expected.kinds) or NUMBER}, as in training. "
            f"Got {', '.join(found.kinds) or NUMBER} instead."
        )
    if found.row_shape != expected.row_shape:
        problems.append(
            f"rows must have shape {expected.row_shape}, as in training. "
            f"Got {found.row_shape} instead."
        )
    floats = {np.dtype(schema.dtype).kind == "f" for schema in (found, expected)}
    if not expected.columns and len(floats) > 1:
        problems.append(
            f"values must be {expected.dtype}, as in training. "
            f"Got {found.dtype} instead; were they rescaled?"
        )
    if problems:
        raise SchemaError(f"{path}: {' Also, '.join(problems)}")
