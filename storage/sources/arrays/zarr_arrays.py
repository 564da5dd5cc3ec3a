"""Zarr arrays, of versions 2 and 3, as a source."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.files.reads import unreadable
from storage.objects.paths import ObjectPath, located
from storage.sources.arrays.array import (
    ArraySource,
    named_coordinates,
    pick_field,
    require_numeric_rows,
    row_schema,
)
from storage.sources.arrays.packed_values import packed_values
from storage.sources.arrays.streams import READ_ERRORS
from storage.sources.source import Origin

# what zarr and its codecs raise for damaged content
DAMAGE = (OSError, LookupError, TypeError, AttributeError, *READ_ERRORS)
FILL_VALUE, XARRAY_AXES = "_FillValue", "_ARRAY_DIMENSIONS"
ZarrArray = Any  # zarr.Array; the library is an extra


class ZarrSource(ArraySource[ZarrArray]):
    """One array of a Zarr folder, read by chunks. A chunk without a file holds the fill value.

    The netCDF attributes that xarray writes are applied.
    """

    block_bytes = 128_000_000

    def __init__(self, path: Path, files: Sequence[Path], *, field: str, missing: str) -> None:
        self._name = _pick_array(path, field)
        self._label = f"{path}[{self._name}]" if self._name else str(path)
        with _reading(self._label):
            array = _open(path, self._name)
            require_numeric_rows(self._label, array.dtype, array.shape)
            self._packed = packed_values(_as_netcdf(array), self._label)
            absent = 0 if array.shards else array.nchunks - array.nchunks_initialized
        origin = Origin(path, tuple(files), missing, self._name)
        super().__init__(origin, row_schema(self._packed.dtype, array.shape), array.shape[0])
        self.band = max(1, array.chunks[0])
        self.borders = range(0, self.n_rows, self.band)
        facts = {
            "format": f"Zarr {array.metadata.zarr_format}",
            "field": self._name,
            "attributes applied": ", ".join(self._packed.names),
            f"chunks without a file, read as {array.fill_value}": f"{absent:,}" if absent else "",
        }
        self.facts = {name: text for name, text in facts.items() if text}

    @contextmanager
    def _opened(self, start: int, stop: int) -> Iterator[ZarrArray]:  # noqa: ARG002 (both unused)
        with _reading(self._label):
            array = _open(self.path, self._name)
        yield array

    def _read_rows(self, opened: ZarrArray, first: int, last: int) -> NDArray[np.generic]:
        with _reading(f"{self._label}, rows {first} to {last}"):
            stored = np.asarray(opened[first:last])
        return self._packed.unpack(stored, first)


def _pick_array(path: Path, field: str) -> str:
    """Return the name of the array to read; '' if the folder is one array. Raises SourceError."""
    zarr = _library(path)
    with _reading(str(path)):
        node = _open(path)
        if isinstance(node, zarr.Array):
            return ""
        members = node.members(max_depth=None)
        arrays = {
            str(name): each for name, each in members if isinstance(each, zarr.Array) and each.ndim
        }
        labels = {label for name, each in arrays.items() for label in _labels(name, each)}
    return pick_field(path, {name: name for name in sorted(arrays)}, field, labels=labels)


def _labels(name: str, array: ZarrArray) -> Iterator[str]:
    """Yield an array's name if it labels its only dimension, and the coordinates it names."""
    axes = getattr(array.metadata, "dimension_names", None) or array.attrs.get(XARRAY_AXES, ())
    if [*axes] == [name.rpartition("/")[2]]:
        yield name
    yield from named_coordinates(name, array.attrs)


def _open(path: Path, name: str = "") -> Any:
    return _library(path).open(_store(path), path=name, mode="r")


def _store(path: Path) -> Any:
    if not isinstance(path, ObjectPath):
        return _library(path).storage.LocalStore(path, read_only=True)
    from storage.objects.zarr_store import ObjectStore  # late: zarr is an extra

    return ObjectStore(path)


def _library(path: Path) -> Any:
    try:
        import zarr  # late: an extra
        import zarr.storage
    except ImportError as error:
        raise SourceError(
            f"{path}: Zarr needs the extra 'zarr'; run pip install 'nightglass[zarr]'"
        ) from error
    return zarr


@contextmanager
def _reading(label: str) -> Iterator[None]:
    """Turn what zarr raises for a damaged folder into a SourceError."""
    try:
        yield
    except SourceError:
        raise
    except DAMAGE as error:
        damage = f": cannot be read ({type(error).__name__}: {error}); restore the folder"
        raise unreadable(located(label), error, damage) from error


def _as_netcdf(array: ZarrArray) -> SimpleNamespace:
    """Return dtype and attributes of an array as they would be in a netCDF file.

    xarray writes the gap's value as the array's fill value in version 2, and in base64 in 3.
    """
    attributes = dict(array.attrs)
    fill = attributes.get(FILL_VALUE)
    if isinstance(fill, str):
        attributes[FILL_VALUE] = _decoded(fill)
    is_version_2 = array.metadata.zarr_format == 2
    if is_version_2 and XARRAY_AXES in attributes and array.fill_value is not None:
        attributes.setdefault(FILL_VALUE, array.fill_value)
    return SimpleNamespace(dtype=array.dtype, attrs=attributes)


def _decoded(text: str) -> float | str:
    """Return a float that xarray wrote in base64; another text as it is."""
    try:
        return float(struct.unpack("<d", base64.b64decode(text, validate=True))[0])
    except (binascii.Error, struct.error):
        return text
