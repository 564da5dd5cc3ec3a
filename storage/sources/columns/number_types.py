"""Which Arrow or NumPy type holds the values of several types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from storage.errors import SchemaError
from storage.sources.columns.schema import Schema


def number_schema(types: Mapping[str, Sequence[pa.DataType]], missing: str) -> Schema:
    """Return the schema of rows of numbers from the Arrow types of each column in all files.

    Values are cast to one common dtype: a float if gaps are imputed.
    """
    dtypes = [np.result_type(*{_number_type(kind) for kind in found}) for found in types.values()]
    numbers = {np.dtype(np.uint8) if dtype.kind == "b" else dtype for dtype in dtypes}
    floats = [np.dtype(np.float32)] if missing == "impute" else []
    dtype = np.result_type(np.result_type(*(numbers or {np.dtype(np.float64)})), *floats)
    return Schema((len(types),), dtype.name, tuple(types), own_types(dtypes, dtype))


def _number_type(kind: pa.DataType) -> np.dtype[np.generic]:
    """Return the NumPy dtype of a column's numbers."""
    if pa.types.is_dictionary(kind):
        return _number_type(kind.value_type)
    if pa.types.is_decimal(kind):
        return np.dtype(np.float64)
    if pa.types.is_null(kind):
        return np.dtype(np.float32)  # holds gaps
    return np.dtype(np.int64) if pa.types.is_duration(kind) else np.dtype(kind.to_pandas_dtype())


def is_value(kind: pa.DataType) -> bool:
    """Return whether NumPy has the type, so that decoded numbers can have it again."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def common_type(types: Sequence[pa.DataType]) -> pa.DataType:
    """Return the Arrow type that holds values of all these types. Raises pa.ArrowException."""
    distinct = [*dict.fromkeys(types)]
    if len(distinct) > 1:
        distinct = [kind.value_type if pa.types.is_dictionary(kind) else kind for kind in distinct]
    schemas = [pa.schema([("", kind)]) for kind in distinct]
    return pa.unify_schemas(schemas, promote_options="permissive").types[0]


def type_in_all_files(path: Path, name: str, types: Sequence[pa.DataType]) -> pa.DataType:
    """Return the Arrow type that holds a column's values in all files. Raises SchemaError."""
    try:
        return common_type(types)
    except pa.ArrowException as error:
        listed = " and ".join(dict.fromkeys(map(str, types)))
        raise SchemaError(
            f"{path}: column {name}: expected one type in all files, got {listed}; "
            "write the files with the same type"
        ) from error


def own_types(
    kinds: Sequence[np.dtype[np.generic]], dtype: np.dtype[np.generic]
) -> tuple[str, ...]:
    """Return the names of the columns' own dtypes; () if all are the `dtype` of the rows."""
    return tuple(kind.name for kind in kinds) if {*kinds} != {dtype} else ()
