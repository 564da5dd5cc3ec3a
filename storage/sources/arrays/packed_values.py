"""The netCDF attributes by which a dataset stores its values packed and its gaps as numbers.

_Unsigned, _FillValue, missing_value, scale_factor and add_offset, as in the netCDF attribute
conventions: value = stored * scale_factor + add_offset, and gaps become NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.errors import SourceError

FILLS = ("_FillValue", "missing_value")
SCALES = ("scale_factor", "add_offset")
UNSIGNED = "_Unsigned"
TOO_WIDE = 2.0**53  # float64 holds all integers below it
Numbers = NDArray[np.generic]


@dataclass(frozen=True)
class PackedValues:
    """How stored values become values.

    names: the attributes that are applied.
    stored: the dtype to read stored values as; dtype: the dtype of the values.
    fills: stored values that mark gaps, (n,).
    """

    label: str
    names: tuple[str, ...]
    stored: np.dtype[np.generic]
    dtype: np.dtype[np.generic]
    fills: Numbers
    scale: float = 1.0
    offset: float = 0.0

    def unpack(self, stored: Numbers, first: int) -> Numbers:
        """Return the values of stored rows (n, ...), which start at row `first`.

        Raises SourceError if a float would not hold an integer exactly.
        """
        if not self.names:
            return stored
        raw = np.ascontiguousarray(stored, stored.dtype.newbyteorder("=")).view(self.stored)
        if not self._changes:
            return raw
        gaps = np.isin(raw, self.fills)
        self._require_exact(raw, gaps, first)
        with np.errstate(over="ignore", invalid="ignore"):  # infinities are refused by name later
            values = raw.astype(self.dtype) * self.dtype.type(self.scale)
            values += self.dtype.type(self.offset)
        values[gaps] = np.nan
        return np.asarray(values)

    @property
    def _changes(self) -> bool:
        return bool(self.fills.size) or (self.scale, self.offset) != (1.0, 0.0)

    def _require_exact(self, raw: Numbers, gaps: NDArray[np.bool_], first: int) -> None:
        if raw.dtype.kind == "f" or raw.dtype.itemsize < 8:
            return
        inexact = ~gaps & (np.abs(raw.astype(np.float64)) >= TOO_WIDE)
        if inexact.any():
            row = first + int(np.argwhere(inexact)[0][0])
            raise SourceError(
                f"{self.label}: row {row}: an integer of 2^53 or more in a dataset with "
                f"{', '.join(self.names)}, whose values are read as floats; store floats instead"
            )


def packed_values(dataset: h5py.Dataset, label: str) -> PackedValues:
    """Return how the attributes of a dataset say to read it.

    Raises SourceError that names an attribute that cannot be applied.
    """
    names = tuple(name for name in (UNSIGNED, *FILLS, *SCALES) if name in dataset.attrs)
    native = dataset.dtype.newbyteorder("=")
    stored = _stored_dtype(dataset, native, label)
    numbers = {name: _numbers(dataset, name, label) for name in names if name != UNSIGNED}
    fills = _fills(numbers, native, stored)
    scale = _single(numbers, "scale_factor", 1.0, label)
    offset = _single(numbers, "add_offset", 0.0, label)
    is_plain = not fills.size and (scale, offset) == (1.0, 0.0)
    dtype = stored if is_plain else _value_dtype(stored, numbers)
    return PackedValues(label, names, stored, dtype, fills, scale, offset)


def _stored_dtype(
    dataset: h5py.Dataset, native: np.dtype[np.generic], label: str
) -> np.dtype[np.generic]:
    text = _text(dataset.attrs.get(UNSIGNED, "false"))
    if text not in ("true", "false"):
        raise SourceError(f"{label}: {UNSIGNED} must be 'true' or 'false'. Got {text!r} instead.")
    return np.dtype(f"u{native.itemsize}") if text == "true" and native.kind == "i" else native


def _text(value: object) -> str:
    single = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    return (single.decode(errors="replace") if isinstance(single, bytes) else str(single)).lower()


def _numbers(dataset: h5py.Dataset, name: str, label: str) -> Numbers:
    value = np.atleast_1d(np.asarray(dataset.attrs[name])).ravel()
    if value.dtype.kind not in "iuf":
        raise SourceError(
            f"{label}: its attribute {name} must be a number. Got {dataset.attrs[name]!r} "
            "instead; fix or delete the attribute"
        )
    return value


def _fills(
    numbers: Mapping[str, Numbers], native: np.dtype[np.generic], stored: np.dtype[np.generic]
) -> Numbers:
    """Return the stored values that mark gaps, in the dtype that is read; NaN marks itself."""
    values = [value for name in FILLS if name in numbers for value in numbers[name].tolist()]
    found = [_as_stored(value, native, stored) for value in values]
    return np.concatenate([np.empty(0, stored), *found])


def _as_stored(value: float, native: np.dtype[np.generic], stored: np.dtype[np.generic]) -> Numbers:
    """Return a gap's value as it is stored, (1,); (0,) if no stored value equals it.

    The gap of an unsigned dataset may be written as signed, in the file's own dtype.
    """
    if stored.kind == "f":
        with np.errstate(over="ignore"):
            rounded = np.array([value]).astype(stored)
        return rounded[np.isfinite(rounded)]
    if _holds(native, value):
        return np.array([int(value)], native).view(stored)
    return np.array([int(value)] if _holds(stored, value) else [], stored)


def _holds(dtype: np.dtype[np.generic], value: float) -> bool:
    limits = np.iinfo(dtype.name)
    return float(value).is_integer() and limits.min <= int(value) <= limits.max


def _single(numbers: Mapping[str, Numbers], name: str, default: float, label: str) -> float:
    values = numbers.get(name, np.array([default]))
    if values.size != 1 or not np.isfinite(values).all():
        raise SourceError(
            f"{label}: its attribute {name} must be one finite number. Got {values.tolist()} "
            "instead; fix or delete the attribute"
        )
    return float(values[0])


def _value_dtype(
    stored: np.dtype[np.generic], numbers: Mapping[str, Numbers]
) -> np.dtype[np.generic]:
    """Return the float dtype that holds stored values, at least as wide as the scales."""
    base = stored if stored.kind == "f" else np.result_type(stored, np.float32)
    scales = [numbers[name].dtype for name in SCALES if name in numbers]
    return np.result_type(base, *(kind for kind in scales if kind.kind == "f"))
