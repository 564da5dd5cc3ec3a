"""Whether all values of an HDF5 dataset exist: HDF5 itself reads absent ones as a fill value."""

from __future__ import annotations

import math
from importlib.util import find_spec

import h5py
import numpy as np
from h5py import h5d, h5z

from storage.errors import SourceError
from storage.sources.arrays.hdf5_elsewhere import mapped_parts, require_external

MOST_BYTES = 2**50  # more is a damaged header
PLUGINS = "hdf5plugin"


def require_whole_dataset(dataset: h5py.Dataset, label: str) -> None:
    """Require filters that are installed, and values that were written and are still there.

    Raises SourceError.
    """
    if dataset.nbytes > MOST_BYTES:
        raise SourceError(
            f"{label}: damaged: the header gives the shape {dataset.shape}; restore the file"
        )
    _require_filters(dataset, label)
    if dataset.is_virtual:
        _require_sources(dataset, label)
    elif dataset.external:
        require_external(dataset, label)
    elif dataset.size:
        _require_written(dataset, label)


def _require_sources(dataset: h5py.Dataset, label: str) -> None:
    """Require that every part of a virtual dataset has a source, and that it is whole too."""
    parts = mapped_parts(dataset)
    for part in parts:
        with part.opened(label) as source:
            require_whole_dataset(source, f"{label}: its source {part}")
    if sum(part.n_values for part in parts) < dataset.size:
        raise SourceError(
            f"{label}: a virtual dataset, parts of which no source is mapped to; "
            f"they would read as {dataset.fillvalue}; map all of its {dataset.size} values"
        )


def _require_filters(dataset: h5py.Dataset, label: str) -> None:
    filters = dataset.id.get_create_plist()
    for index in range(filters.get_nfilters()):
        code, _, _, name = filters.get_filter(index)
        if not h5z.filter_avail(code) and not _in_plugins(code):
            raise SourceError(
                f"{label}: compressed with filter {code} ({name.decode(errors='replace')}), "
                "which is not installed; pip install 'nightglass[sz3]' adds the usual ones"
            )


def _in_plugins(code: int) -> bool:
    """Load the filters of the extra, if installed, and return whether one has this code."""
    if find_spec(PLUGINS) is None:
        return False
    import hdf5plugin  # noqa: F401 # late: an extra; importing it registers the filters

    return bool(h5z.filter_avail(code))


def _require_written(dataset: h5py.Dataset, label: str) -> None:
    """Require that the dataset was written up to its end along each axis.

    A gap before the end may be meant, with the fill value as content.
    """
    layout = dataset.id.get_create_plist().get_layout()
    if layout == h5d.CHUNKED:
        _require_chunks(dataset, label)
    elif layout == h5d.CONTIGUOUS:
        _require_contiguous(dataset, label)


def _require_contiguous(dataset: h5py.Dataset, label: str) -> None:
    if dataset.id.get_offset() is None:
        _require_extent(dataset, label, ())
    if dataset.id.get_storage_size() != dataset.size * dataset.id.get_type().get_size():
        raise _other_size(dataset, label, f"{dataset.id.get_storage_size()} bytes")


def _require_chunks(dataset: h5py.Dataset, label: str) -> None:
    sizes = zip(dataset.shape, dataset.chunks, strict=True)
    expected = math.prod(-(-size // chunk) for size, chunk in sizes)
    found = dataset.id.get_num_chunks()
    if found > expected:
        raise _other_size(dataset, label, f"{found} chunks")
    if found < expected:  # visiting a million chunks takes seconds
        _require_extent(dataset, label, _written_extent(dataset))


def _other_size(dataset: h5py.Dataset, label: str, stored: str) -> SourceError:
    return SourceError(
        f"{label}: damaged: the header gives the shape {dataset.shape}, but {stored} are stored; "
        "restore the file"
    )


def _written_extent(dataset: h5py.Dataset) -> tuple[int, ...]:
    extent = np.zeros(dataset.ndim, np.int64)

    def extend(chunk: h5d.StoreInfo) -> None:
        np.maximum(extent, np.add(chunk.chunk_offset, dataset.chunks), out=extent)

    dataset.id.chunk_iter(extend)
    return tuple(np.minimum(extent, dataset.shape).tolist())


def _require_extent(dataset: h5py.Dataset, label: str, extent: tuple[int, ...]) -> None:
    if extent != dataset.shape:
        written = f"only written up to {extent}" if any(extent) else "never written"
        raise SourceError(
            f"{label}: has the shape {dataset.shape}, but values were {written}; the rest would "
            f"read as {dataset.fillvalue}; restore the file, or resize the dataset"
        )
