"""HDF5 datasets as a source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from storage.sources.arrays.array import (
    ArraySource,
    named_coordinates,
    pick_field,
    require_numeric_rows,
    row_schema,
)
from storage.sources.arrays.hdf5_content import require_whole_dataset
from storage.sources.arrays.hdf5_copy import copied_rows
from storage.sources.arrays.hdf5_elsewhere import other_files
from storage.sources.arrays.hdf5_errors import open_hdf5, reading_hdf5
from storage.sources.arrays.packed_values import packed_values
from storage.sources.source import Origin
from storage.text import printable


class SlicedRows(Protocol):
    """A dataset, or a copy of its rows."""

    def __getitem__(self, rows: slice) -> NDArray[np.generic]:
        """Return rows (n, *row_shape)."""
        ...


class Hdf5Source(ArraySource[SlicedRows]):
    """One dataset of an HDF5 or netCDF-4 file, read by hyperslabs."""

    block_bytes = 128_000_000

    def __init__(self, path: Path, *, field: str, missing: str) -> None:
        with open_hdf5(path) as file:
            self._name = pick_dataset(file, path, field)
            shown = printable(self._name)
            self._label = f"{path}[{shown}]"
            with reading_hdf5(self._label):
                dataset = file[self._name]
                shape = dataset.shape
                require_numeric_rows(self._label, dataset.dtype, shape)
                require_whole_dataset(dataset, self._label)
                self._packed = packed_values(dataset, self._label)
                self._set_band(dataset)
                origin = Origin(path, (path, *other_files(dataset)), missing, shown)
        super().__init__(origin, row_schema(self._packed.dtype, shape), shape[0])
        self.borders = range(0, self.n_rows, self.band) if self._in_chunks else ()
        self.facts = {"format": "HDF5", "field": shown, **self._applied()}

    def _set_band(self, dataset: h5py.Dataset) -> None:
        self._in_chunks = dataset.chunks is not None
        self.band = dataset.chunks[0] if self._in_chunks else 1
        self._cached = not _holds_whole_rows(dataset)

    def _applied(self) -> Mapping[str, str]:
        names = ", ".join(self._packed.names)
        return {"attributes applied": names} if names else {}

    @contextmanager
    def _opened(self, start: int, stop: int) -> Iterator[SlicedRows]:
        with open_hdf5(self.path, cached=self._cached) as file:
            with reading_hdf5(self._label):
                dataset = file[self._name]
                if dataset.is_virtual or dataset.external:  # a file may be gone since opening
                    require_whole_dataset(dataset, self._label)
            if self._wants_copy(start, stop):
                with copied_rows(dataset, (start, stop), self._label) as copy:
                    yield copy
            else:
                yield dataset

    def _wants_copy(self, start: int, stop: int) -> bool:
        """Return whether stored chunks are so long that each would be unpacked several times."""
        most = self.block_bytes // self.schema.row_bytes
        return self.band > most and stop - start > most

    def _read_rows(self, opened: SlicedRows, first: int, last: int) -> NDArray[np.generic]:
        with reading_hdf5(f"{self._label}, rows {first} to {last}"):
            stored = opened[first:last]
        return self._packed.unpack(stored, first)


def _holds_whole_rows(dataset: h5py.Dataset) -> bool:
    """Return whether stored chunks hold whole rows as they are, so that any part can be read."""
    whole = dataset.chunks is not None and dataset.chunks[1:] == dataset.shape[1:]
    return whole and not dataset.id.get_create_plist().get_nfilters()


def pick_dataset(file: h5py.File, path: Path, field: str) -> str | bytes:
    """Return the name of the dataset to read; links count. Raises SourceError."""
    with reading_hdf5(str(path)):
        if field and isinstance(file.get(field), h5py.Dataset):
            return field.strip("/")
        names = dataset_names(file)
        labels = {printable(label) for name in names for label in _labels(file, name)}
    return pick_field(path, {printable(name): name for name in names}, field, labels=labels)


def _labels(file: h5py.File, name: str | bytes) -> Iterator[str | bytes]:
    """Yield the dataset `name` if it is the scale of a dimension, and the coordinates it names.

    netCDF marks so what only says where rows and columns lie: times, latitudes, bounds of both.
    """
    dataset = file.get(name)
    if not isinstance(dataset, h5py.Dataset):  # a broken link
        return
    if dataset.is_scale:
        yield name
    yield from named_coordinates(printable(name), dataset.attrs)


def dataset_names(file: h5py.File) -> list[str | bytes]:
    """Return one path for each dataset that is not a scalar, and the paths of broken links."""
    paths: list[str | bytes] = []
    file.visit_links(paths.append)
    found: dict[object, str | bytes] = {}
    for path in paths:
        if key := _identity(file, path):
            found.setdefault(key, path)
    return list(found.values())


def _identity(file: h5py.File, path: str | bytes) -> object:
    """Return the dataset at a path; the path itself if it is a broken link; else None."""
    try:
        item = file[path]
    except KeyError:
        if _is_hard_link(file, path):
            raise
        return path
    return item if isinstance(item, h5py.Dataset) and item.ndim else None


def _is_hard_link(file: h5py.File, path: str | bytes) -> bool:
    raw = path if isinstance(path, bytes) else path.encode()
    return bool(file.id.links.get_info(raw).type == h5py.h5l.TYPE_HARD)
