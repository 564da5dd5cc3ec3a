"""Sizes that other codecs reach within the same bound: SZ3, ZFP, Blosc2, grid + zstd, PCA + grid.

Each codec gets the best of several layouts and a tolerance widened as far as the bound still holds,
and is measured as a bare payload.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

COMPONENTS = (8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 50, 64, 80, 100)
WIDER = (4.0, 2.0, 1.5, 1.0)  # times the tolerance, tried in this order
SEARCH_STEPS = 10
FINEST, COARSEST = 0.05, 8.0  # steps of coefficients

Filter = Mapping[str, Any]  # keyword arguments of create_dataset


def zstd(content: bytes) -> int:
    """Number of bytes under zstd at level 19."""
    return len(pa.Codec("zstd", compression_level=19).compress(content, asbytes=True))


def through_filter(values: NDArray[Any], options: Filter) -> tuple[int, NDArray[Any]]:
    """Number of bytes of an array as one HDF5 chunk under a filter, and the decoded array."""
    # without a chunk cache, so that the values read have passed through the filter
    with h5py.File("bench", "w", driver="core", backing_store=False, rdcc_nbytes=0) as file:
        dataset = file.create_dataset("a", data=values, chunks=values.shape, **options)
        return dataset.id.get_storage_size(), dataset[...]


def sz3(tolerance: float) -> Filter:
    """SZ3 with an absolute bound."""
    return hdf5plugin.SZ3(absolute=tolerance)


def zfp(tolerance: float) -> Filter:
    """ZFP with an absolute bound."""
    return hdf5plugin.Zfp(accuracy=tolerance)


def within(rows: NDArray[Any], tolerance: float, options: Callable[[float], Filter]) -> int:
    """Fewest bytes of a filter that holds the bound, over all layouts."""
    return min(rows.nbytes, *(_widest(each, tolerance, options) for each in _layouts(rows)))


def _layouts(rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
    yield rows
    if rows.ndim == 2:
        yield rows.T.copy()
        yield rows.reshape(-1)
    else:
        yield rows.reshape(len(rows), -1)


def _widest(layout: NDArray[Any], tolerance: float, options: Callable[[float], Filter]) -> int:
    """Number of bytes at the widest tolerance for which the bound holds."""
    for share in WIDER:
        size, decoded = through_filter(layout, options(share * tolerance))
        if np.abs(decoded.astype(np.float64) - layout).max() <= tolerance:
            return size
    return layout.nbytes


def truncated(unit: NDArray[np.float32], bound: float) -> int:
    """Blosc2 with mantissas truncated as far as the bound holds."""
    options = hdf5plugin.Blosc2(cname="zstd", clevel=9)
    for bits in range(1, 24):
        mask = np.uint32(0xFFFFFFFF << (23 - bits) & 0xFFFFFFFF)
        cut = (unit.view(np.uint32) & mask).view(np.float32)
        if np.abs(cut - unit).max() <= bound:
            return min(through_filter(each, options)[0] for each in (cut, cut.T.copy()))
    return unit.nbytes


def simple_grid(rows: NDArray[Any], tolerance: float) -> int:
    """Rounding to a plain grid, then zstd 19 by row, by column, or on column differences."""
    codes = grid_codes(rows, tolerance)
    by_row = narrow(codes)
    differences = narrow(np.diff(codes.T, axis=1, prepend=0))
    layouts = (by_row, by_row.T, differences)
    return min(zstd(np.ascontiguousarray(each).tobytes()) for each in layouts)


def grid_codes(rows: NDArray[Any], tolerance: float) -> NDArray[np.int64]:
    """Rows rounded to a plain grid within the tolerance."""
    return np.asarray(np.rint(rows / (2 * tolerance)), np.int64)


def narrow(codes: NDArray[np.int64]) -> NDArray[Any]:
    """Codes from 0 upward, in the smallest unsigned type."""
    return (codes - codes.min()).astype(np.min_scalar_type(int(np.ptp(codes))))


def pca_bytes(known: NDArray[Any], rows: NDArray[Any], rmse: float) -> tuple[int, float]:
    """Fewest bytes of PCA within the RMSE, and the RMSE reached.

    PCA is fitted on `known`. Coefficients on one grid and an 8-bit basis are under zstd 19.
    """
    mean = known.mean(axis=0)
    vectors = np.linalg.eigh(np.cov((known[::4] - mean).T))[1][:, ::-1]
    best = (rows.nbytes, 0.0)
    for k in COMPONENTS:
        scale = np.float32(np.abs(vectors[:, :k]).max() / 127)
        basis = np.rint(vectors[:, :k] / scale).astype(np.int8)
        size, reached = _coefficients(rows, mean, basis * scale, rmse)
        if size:
            size += zstd(basis.T.tobytes()) + zstd(mean.astype(np.float16).tobytes())
            best = min(best, (size, reached))
    return best


def _coefficients(
    rows: NDArray[Any], mean: NDArray[Any], basis: NDArray[Any], rmse: float
) -> tuple[int, float]:
    """Number of bytes of the coefficients on the widest grid within the RMSE, and the RMSE reached.

    0 bytes if no grid is fine enough.
    """
    coefficients = (rows - mean) @ basis

    def loss(step: float) -> float:
        decoded = np.rint(coefficients / np.float32(step)) * np.float32(step) @ basis.T
        return float(np.sqrt(np.square(decoded + mean - rows).mean(dtype=np.float64)))

    low, high = FINEST, COARSEST
    reached = loss(low)
    if reached > rmse:
        return 0, 0.0
    for _ in range(SEARCH_STEPS):
        step = (low * high) ** 0.5
        found = loss(step)
        if found <= rmse:
            low, reached = step, found
        else:
            high = step
    codes = np.rint(coefficients / low).astype(np.int16)
    return sum(_column_bytes(column) for column in codes.T), reached


def _column_bytes(column: NDArray[np.int16]) -> int:
    return zstd(np.clip(column - column.min(), 0, 255).astype(np.uint8).tobytes())


def sz3_at(rows: NDArray[np.float32], rmse: float) -> int:
    """Number of bytes of SZ3 over images, its tolerance widened until it reaches the RMSE."""
    low, high, size = rmse / 2, rmse * 16, rows.nbytes
    for _ in range(SEARCH_STEPS):
        middle = (low * high) ** 0.5
        found, decoded = through_filter(rows, sz3(middle))
        if np.sqrt(((decoded - rows) ** 2).mean()) <= rmse:
            low = middle
            size = min(size, found)
        else:
            high = middle
    return size
